"""Turn what the registry knows of adapters into what callers receive."""

from collections.abc import Iterable

from tame_router.api.grpc_moment import write_moment
from tame_router.api.registry_request import STATES
from tame_router.registry.finding import Finding
from tame_router.registry.record import (
    Action,
    Label,
    LabelChange,
    Mode,
    RevisionRecord,
    SignatureState,
    StateChange,
)
from tame_router.registry.request import Checked, Collected, HistoryPage, Page, Progress
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_revision_pb2 as revision_pb

_STATES = {state: proto for proto, state in STATES.items()}
_ACTIONS = {
    Action.PUBLISH: revision_pb.AdapterLabelChange.ACTION_PUBLISH,
    Action.CANARY: revision_pb.AdapterLabelChange.ACTION_CANARY,
    Action.ROLLBACK: revision_pb.AdapterLabelChange.ACTION_ROLLBACK,
    Action.SHADOW: revision_pb.AdapterLabelChange.ACTION_SHADOW,
    Action.PROVE: revision_pb.AdapterLabelChange.ACTION_PROVE,
}
_SIGNATURES = {
    SignatureState.ABSENT: revision_pb.AdapterSignature.STATE_ABSENT,
    SignatureState.VERIFIED: revision_pb.AdapterSignature.STATE_VERIFIED,
}


def write_revision(record: RevisionRecord) -> revision_pb.AdapterRevision:
    """Write a revision."""
    return revision_pb.AdapterRevision(
        name=record.name,
        expert=record.expert,
        digest=bytes.fromhex(record.digest),
        state=_STATES[record.state],
        tenant=record.tenant,
        subject=record.subject,
        files=[
            revision_pb.AdapterFile(
                path=file.path, size_bytes=file.size_bytes, sha256=bytes.fromhex(file.sha256)
            )
            for file in record.manifest.files
        ],
        size_bytes=record.manifest.size_bytes,
        findings=_write_findings(record.findings),
        signature=revision_pb.AdapterSignature(
            state=_SIGNATURES[record.signature], signer=record.signer
        ),
        report_json=record.report,
        create_time=write_moment(record.create_time),
        update_time=write_moment(record.update_time),
        withdrawn=record.withdrawn,
    )


def write_label(label: Label) -> revision_pb.AdapterLabel:
    """Write a label."""
    proto = revision_pb.AdapterLabel(
        expert=label.expert,
        live=label.live,
        generation=label.generation,
        update_time=write_moment(label.update_time),
        shadow_good=label.mode is Mode.PROVEN,
    )
    _write_tried(proto, label)
    return proto


def write_page(page: Page) -> pb.ListAdapterRevisionsResponse:
    """Write a page of revisions."""
    return pb.ListAdapterRevisionsResponse(
        revisions=map(write_revision, page.records),
        next_page_token=page.next_page_token,
        labels=map(write_label, page.labels),
    )


def write_history(page: HistoryPage) -> pb.ListLabelHistoryResponse:
    """Write a page of an expert's history."""
    return pb.ListLabelHistoryResponse(
        changes=map(_write_label_change, page.changes),
        next_page_token=page.next_page_token,
        label=write_label(page.label),
    )


def write_change(change: StateChange, record: RevisionRecord) -> pb.WatchAdapterRevisionResponse:
    """Write a change of state, and the revision after it."""
    proto = revision_pb.AdapterStateChange(
        sequence=change.sequence,
        revision=change.revision,
        state=_STATES[change.state],
        tenant=change.actor.tenant,
        subject=change.actor.subject,
        peer=change.actor.peer,
        because=change.because,
        create_time=write_moment(change.create_time),
    )
    if change.before is not None:
        proto.before = _STATES[change.before]
    return pb.WatchAdapterRevisionResponse(change=proto, revision=write_revision(record))


def write_progress(progress: Progress) -> pb.UploadAdapterRevisionResponse:
    """Write what of an upload is received."""
    return pb.UploadAdapterRevisionResponse(
        progress=pb.UploadProgress(
            upload_id=progress.upload_id,
            file=progress.file,
            offset=progress.offset,
            running_crc32=progress.running_crc32,
            received_bytes=progress.received_bytes,
            size_bytes=progress.size_bytes,
        )
    )


def write_checked(checked: Checked) -> pb.ValidateAdapterRevisionResponse:
    """Write what a dry run found."""
    return pb.ValidateAdapterRevisionResponse(
        name=checked.name, findings=_write_findings(checked.findings)
    )


def write_collected(collected: Collected) -> pb.CollectAdapterGarbageResponse:
    """Write what was removed."""
    return pb.CollectAdapterGarbageResponse(
        revisions=collected.revisions,
        strays=collected.strays,
        contents=[bytes.fromhex(sha256) for sha256 in collected.contents],
        damaged=collected.damaged,
        freed_bytes=collected.freed_bytes,
        uploads=collected.uploads,
    )


def _write_label_change(change: LabelChange) -> revision_pb.AdapterLabelChange:
    label, actor = change.label, change.actor
    proto = revision_pb.AdapterLabelChange(
        expert=label.expert,
        generation=label.generation,
        action=_ACTIONS[change.action],
        live_before=change.live_before,
        live=label.live,
        tenant=actor.tenant,
        subject=actor.subject,
        peer=actor.peer,
        because=change.because,
        create_time=write_moment(change.create_time),
    )
    _write_tried(proto, label)
    return proto


def _write_tried(
    proto: revision_pb.AdapterLabel | revision_pb.AdapterLabelChange, label: Label
) -> None:
    """Write what is tried: a canary, or a shadow, which a caller must not take for one."""
    if label.mode is Mode.ANSWERING:
        proto.canary, proto.canary_share = label.canary, label.canary_share
    else:
        proto.shadow, proto.shadow_share = label.canary, label.canary_share


def _write_findings(findings: Iterable[Finding]) -> list[revision_pb.AdapterFinding]:
    return [
        revision_pb.AdapterFinding(
            reason=finding.reason,
            message=finding.message,
            advice=finding.advice,
            path=finding.path,
            fatal=finding.fatal,
        )
        for finding in findings
    ]
