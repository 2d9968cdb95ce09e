"""Turn what the router says of adapters into the SDK's own values."""

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from tame_router.client.adapter import (
    AdapterFile,
    Checked,
    Collected,
    Finding,
    Label,
    LabelChange,
    Published,
    Revision,
    RevisionState,
    StateChange,
)
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tame_router.v1 import adapter_revision_pb2 as revision_pb

STATES = {
    revision_pb.AdapterRevision.STATE_VALIDATING: RevisionState.VALIDATING,
    revision_pb.AdapterRevision.STATE_EVALUATING: RevisionState.EVALUATING,
    revision_pb.AdapterRevision.STATE_APPROVED: RevisionState.APPROVED,
    revision_pb.AdapterRevision.STATE_PUBLISHING: RevisionState.PUBLISHING,
    revision_pb.AdapterRevision.STATE_ACTIVE: RevisionState.ACTIVE,
    revision_pb.AdapterRevision.STATE_REJECTED: RevisionState.REJECTED,
    revision_pb.AdapterRevision.STATE_RETIRED: RevisionState.RETIRED,
}
_ACTIONS = {
    revision_pb.AdapterLabelChange.ACTION_PUBLISH: "publish",
    revision_pb.AdapterLabelChange.ACTION_CANARY: "canary",
    revision_pb.AdapterLabelChange.ACTION_ROLLBACK: "rollback",
    revision_pb.AdapterLabelChange.ACTION_SHADOW: "shadow",
    revision_pb.AdapterLabelChange.ACTION_PROVE: "prove",
}


def read_revision(proto: revision_pb.AdapterRevision) -> Revision:
    """Read a revision."""
    return Revision(
        name=proto.name,
        expert=proto.expert,
        digest=proto.digest.hex(),
        state=_state(proto.state),
        tenant=proto.tenant,
        subject=proto.subject,
        files=tuple(
            AdapterFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256.hex())
            for file in proto.files
        ),
        size_bytes=proto.size_bytes,
        findings=_findings(proto.findings),
        signer=proto.signature.signer,
        report=proto.report_json,
        create_time=_moment(proto.create_time),
        update_time=_moment(proto.update_time),
        withdrawn=proto.withdrawn,
    )


def read_label(proto: revision_pb.AdapterLabel) -> Label:
    """Read a label."""
    return Label(
        expert=proto.expert,
        live=proto.live,
        canary=proto.canary,
        canary_share=proto.canary_share,
        generation=proto.generation,
        update_time=_moment(proto.update_time),
        shadow=proto.shadow,
        shadow_share=proto.shadow_share,
        shadow_good=proto.shadow_good,
    )


def read_label_change(proto: revision_pb.AdapterLabelChange) -> LabelChange:
    """Read a move of a label."""
    label = Label(
        expert=proto.expert,
        live=proto.live,
        canary=proto.canary,
        canary_share=proto.canary_share,
        generation=proto.generation,
        update_time=_moment(proto.create_time),
        shadow=proto.shadow,
        shadow_share=proto.shadow_share,
    )
    return LabelChange(
        label=label,
        live_before=proto.live_before,
        action=_ACTIONS.get(proto.action, "unknown"),
        tenant=proto.tenant,
        subject=proto.subject,
        peer=proto.peer,
        because=proto.because,
    )


def read_change(proto: pb.WatchAdapterRevisionResponse) -> StateChange:
    """Read a change of state."""
    change = proto.change
    return StateChange(
        sequence=change.sequence,
        revision=read_revision(proto.revision),
        before=_state(change.before) if change.before else None,
        state=_state(change.state),
        tenant=change.tenant,
        subject=change.subject,
        peer=change.peer,
        because=change.because,
        create_time=_moment(change.create_time),
    )


def read_published(proto: pb.PublishAdapterRevisionResponse) -> Published:
    """Read what a publication led to."""
    return Published(label=read_label(proto.label), revision=read_revision(proto.revision))


def read_checked(proto: pb.ValidateAdapterRevisionResponse) -> Checked:
    """Read what a dry run found."""
    return Checked(name=proto.name, findings=_findings(proto.findings))


def read_collected(proto: pb.CollectAdapterGarbageResponse) -> Collected:
    """Read what was removed."""
    return Collected(
        revisions=tuple(proto.revisions),
        freed_bytes=proto.freed_bytes,
        uploads=proto.uploads,
        strays=tuple(proto.strays),
        contents=tuple(sha256.hex() for sha256 in proto.contents),
        damaged=tuple(proto.damaged),
    )


def _findings(protos: Iterable[revision_pb.AdapterFinding]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            reason=proto.reason,
            message=proto.message,
            advice=proto.advice,
            path=proto.path,
            fatal=proto.fatal,
        )
        for proto in protos
    )


def _state(proto: "revision_pb.AdapterRevision.State.ValueType") -> RevisionState:
    return STATES.get(proto, RevisionState.UNKNOWN)


def _moment(proto: Timestamp) -> datetime | None:
    """Read a time; a message that was not sent reads as the epoch, which is no time of ours."""
    return proto.ToDatetime(tzinfo=UTC) if proto.ByteSize() else None
