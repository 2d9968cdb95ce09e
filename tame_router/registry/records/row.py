"""How the registry's rows become values, and values rows. No query is made here."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row

from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry, Manifest
from tame_router.registry.reason import Reason
from tame_router.registry.record import (
    Action,
    Actor,
    Holding,
    Job,
    JobKind,
    Label,
    LabelChange,
    Mode,
    RevisionRecord,
    SignatureState,
    StateChange,
)
from tame_router.registry.records.tables import kept
from tame_router.registry.state import State

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _File(msgspec.Struct):
    path: str
    sha256: str
    size: int


class _Document(msgspec.Struct):
    files: list[_File]


_DOCUMENT = msgspec.json.Decoder(_Document)


def microseconds(moment: datetime) -> int:
    """Write a moment."""
    return (moment - _EPOCH) // _MICROSECOND


def read_moment(written: int) -> datetime:
    """Read a moment."""
    return _EPOCH + timedelta(microseconds=written)


def write_findings(findings: Iterable[Finding]) -> str:
    """Write findings as JSON."""
    return json.dumps(
        [
            {
                "reason": found.reason,
                "message": found.message,
                "advice": found.advice,
                "path": found.path,
                "fatal": found.fatal,
            }
            for found in findings
        ]
    )


def read_findings(written: str) -> tuple[Finding, ...]:
    """Read findings."""
    if written == "[]":
        return ()
    return tuple(
        Finding(**{**found, "reason": Reason(found["reason"])}) for found in json.loads(written)
    )


def write_revision(record: RevisionRecord, number: int) -> dict[str, Any]:
    """Give a revision's row.

    Args:
        record: The revision.
        number: Its place among all.
    """
    return {
        "name": record.name,
        "number": number,
        "expert": record.expert,
        "digest": record.digest,
        "state": record.state,
        "tenant": record.tenant,
        "subject": record.subject,
        "create_time_us": microseconds(record.create_time),
        "update_time_us": microseconds(record.update_time),
        "size_bytes": record.manifest.size_bytes,
        "signature": record.signature,
        "signer": record.signer,
        "withdrawn": record.withdrawn,
        "removed": record.removed,
        "manifest": record.manifest.document.decode(),
        "findings": write_findings(record.findings),
        "report": record.report,
    }


def read_revision(row: Row[Any]) -> RevisionRecord:
    """Read a revision; without its report where that was not selected."""
    # Taken apart at once: a page has many, and a row finds its columns by name slowly.
    name, _, expert, digest, state, tenant, subject, created, updated, _, *rest = tuple(row)
    signature, signer, withdrawn, removed, manifest, findings, *report = rest
    return RevisionRecord(
        name=name,
        expert=expert,
        digest=digest,
        manifest=_read_manifest(manifest),
        state=State(state),
        tenant=tenant,
        subject=subject,
        create_time=read_moment(created),
        update_time=read_moment(updated),
        findings=read_findings(findings),
        signature=SignatureState(signature),
        signer=signer,
        report=report[0] if report else "",
        withdrawn=withdrawn,
        removed=removed,
    )


def read_holding(row: Any) -> Holding:
    """Read what a revision holds of the store."""
    files = _read_manifest(row.manifest).files
    contents = frozenset(file.sha256 for file in files)
    return Holding(name=row.name, contents=contents, removed=row.removed)


def write_actor(actor: Actor) -> dict[str, str]:
    """Give the columns that say who."""
    return {"tenant": actor.tenant, "subject": actor.subject, "peer": actor.peer}


def read_state_change(row: Row[Any]) -> StateChange:
    """Read a step in a revision's life."""
    return StateChange(
        sequence=row.sequence,
        revision=row.revision,
        before=State(row.before) if row.before else None,
        state=State(row.state),
        actor=_read_actor(row),
        because=row.because,
        create_time=read_moment(row.create_time_us),
    )


def read_label(row: Row[Any]) -> Label:
    """Read a label."""
    return _read_label(row, row.update_time_us)


def write_label_change(change: LabelChange) -> dict[str, Any]:
    """Give the row of a label's move, as it is kept, without its place in the chain."""
    label = change.label
    row = {
        "expert": label.expert,
        "generation": label.generation,
        "live": label.live,
        "canary": label.canary,
        "canary_share": label.canary_share,
        "mode": label.mode,
        "live_before": change.live_before,
        "action": change.action,
        "because": change.because,
        "create_time_us": microseconds(change.create_time),
        **write_actor(change.actor),
    }
    return {name: kept(value) if isinstance(value, str) else value for name, value in row.items()}


def read_label_change(row: Row[Any]) -> LabelChange:
    """Read a label's move."""
    return LabelChange(
        label=_read_label(row, row.create_time_us),
        live_before=row.live_before,
        action=Action(row.action),
        actor=_read_actor(row),
        because=row.because,
        create_time=read_moment(row.create_time_us),
    )


def write_job(job: Job, create_time: datetime) -> dict[str, Any]:
    """Give a job's row."""
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "revision": job.revision,
        "payload": job.payload,
        "owner": job.owner,
        "lease_time_us": job.lease_time and microseconds(job.lease_time),
        "attempts": job.attempts,
        "error": job.error,
        "done": job.done,
        "create_time_us": microseconds(create_time),
        **write_actor(job.actor),
    }


def read_job(row: Row[Any]) -> Job:
    """Read a job."""
    return Job(
        job_id=row.job_id,
        kind=JobKind(row.kind),
        revision=row.revision,
        actor=_read_actor(row),
        payload=row.payload,
        owner=row.owner,
        lease_time=None if row.lease_time_us is None else read_moment(row.lease_time_us),
        attempts=row.attempts,
        error=row.error,
        done=row.done,
    )


def _read_label(row: Row[Any], update_time_us: int) -> Label:
    return Label(
        expert=row.expert,
        live=row.live,
        canary=row.canary,
        canary_share=row.canary_share,
        mode=Mode(row.mode),
        generation=row.generation,
        update_time=read_moment(update_time_us),
    )


def _read_actor(row: Row[Any]) -> Actor:
    return Actor(tenant=row.tenant, subject=row.subject, peer=row.peer)


def _read_manifest(document: str) -> Manifest:
    """Read a manifest that was canonical when it was written: lists are long."""
    return Manifest(
        files=tuple(
            FileEntry(path=file.path, size_bytes=file.size, sha256=file.sha256)
            for file in _DOCUMENT.decode(document).files
        )
    )
