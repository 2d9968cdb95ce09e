"""Revisions and jobs that tests of the registry's records know, and a clock that they set."""

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from tame_router.registry.manifest import FileEntry, make_manifest
from tame_router.registry.record import Actor, Job, JobKind, Label, RevisionRecord
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event, State

NOON = datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC)
PARTNER = Actor(tenant="partner", subject="key-1", peer="192.0.2.7:4711")
FOLDER = "legal--0123456789abcdef"
"""What the folder of the expert `legal` says is live; it has no record."""


class Clock:
    """A clock that goes on by a microsecond whenever it is asked, and when it is told to."""

    def __init__(self) -> None:
        self._ticks = itertools.count()
        self._passed = timedelta()

    def __call__(self) -> datetime:
        """Give the present moment."""
        return NOON + self._passed + timedelta(microseconds=next(self._ticks))

    def wait(self, **length: float) -> None:
        """Let time pass."""
        self._passed += timedelta(**length)


def revision(seed: str = "a", expert: str = "legal", tenant: str = "partner") -> RevisionRecord:
    """Give a revision as it is when its upload is finished."""
    files = {"adapter_config.json": 500, "adapter_model.safetensors": 1_000_000}
    manifest = make_manifest(
        FileEntry(
            path=path, size_bytes=size, sha256=hashlib.sha256(f"{seed}{path}".encode()).hexdigest()
        )
        for path, size in files.items()
    )
    return RevisionRecord(
        name=manifest.name(expert),
        expert=expert,
        digest=manifest.digest,
        manifest=manifest,
        state=State.VALIDATING,
        tenant=tenant,
        subject="key-1",
        create_time=NOON,
        update_time=NOON,
    )


def job(job_id: str, name: str = "legal--0000000000000000", **values: object) -> Job:
    """Give a job that nobody has begun."""
    known: dict[str, Any] = {"kind": JobKind.VALIDATE, "revision": name, "actor": PARTNER}
    return Job(job_id=job_id, **known | values)


def add(store: RecordStore, seed: str = "a", expert: str = "legal") -> str:
    """Add a revision and give its name."""
    return store.add(revision(seed, expert), PARTNER, "uploaded").name


def approve(store: RecordStore, seed: str = "a", expert: str = "legal") -> str:
    """Add a revision, let it pass all, and give its name."""
    name = add(store, seed, expert)
    for event in (Event.VALIDATED, Event.PASSED):
        store.happen(name, event, PARTNER, "in order")
    return name


def publish(
    store: RecordStore, name: str, share: float | None = None, generation: int | None = None
) -> Label:
    """Publish a revision, replicas included."""
    store.happen(name, Event.PUBLISH, PARTNER, "wanted")
    return store.publish(name, share, FOLDER, generation, PARTNER, "ready")


def rollback(store: RecordStore, to: str, generation: int | None = None) -> Label:
    """Roll `legal` back."""
    return store.rollback("legal", to, FOLDER, generation, PARTNER, "worse")
