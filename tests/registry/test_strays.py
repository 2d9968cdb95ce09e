"""Bytes that a crash left in the store before their record was written, in a folder and in S3."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
import sqlalchemy.event
from sqlalchemy import Engine

from tame_router.canonical_json import sha256_hex
from tame_router.config import StoreSettings
from tame_router.registry import garbage as garbage_module
from tame_router.registry.garbage import Garbage
from tame_router.registry.observer import Unobserved
from tame_router.registry.record import RevisionRecord
from tame_router.registry.records.access import Records
from tame_router.registry.request import Collected
from tame_router.registry.state import Event, State
from tame_router.registry.storage import blob_bucket
from tame_router.registry.storage.revision_store import RevisionStore
from tests.registry.known import NOON, PARTNER, job
from tests.registry.revision_folder import write_revision
from tests.s3_fixture import BUCKET

pytestmark = pytest.mark.anyio


@pytest.fixture
async def records(store_settings: StoreSettings, tmp_path: Path) -> AsyncIterator[Records]:
    """Give empty records, closed afterwards."""
    records = Records(store_settings, tmp_path)
    yield records
    await records.close()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RevisionStore:
    """Give an empty store, once in each kind of place; what is young may go there too."""
    if request.param == "folder":
        return RevisionStore(str(tmp_path / "store"))
    request.getfixturevalue("s3_server")
    monkeypatch.setattr(blob_bucket.BlobBucket, "spare_s", -1.0)
    return RevisionStore(f"s3://{BUCKET}/strays")


class Alarms(Unobserved):
    """Counts alarms.

    Attributes:
        raised: So many.
    """

    def __init__(self) -> None:
        self.raised = 0

    def adapter_corrupt(self) -> None:
        """Count one."""
        self.raised += 1


async def nothing(_: datetime) -> int:
    """Say that there are no uploads."""
    return 0


def garbage(records: Records, store: RevisionStore, upload_age: timedelta) -> Garbage:
    """Make what removes."""
    return Garbage(records, store, nothing, retention=timedelta(days=90), upload_age=upload_age)


async def put(records: Records, store: RevisionStore, folder: Path, *, record: bool) -> str:
    """Put a revision of its own into the store, with a record or without."""
    manifest = write_revision(folder, {"README.md": folder.name.encode()})
    name = store.put("legal", manifest, folder)
    if record:
        known = RevisionRecord(
            name=name,
            expert="legal",
            digest=manifest.digest,
            manifest=manifest,
            state=State.VALIDATING,
            tenant="partner",
            subject="key-1",
            create_time=NOON,
            update_time=NOON,
        )
        await records.ask(lambda s: s.add(known, PARTNER, "uploaded"))
    return name


async def test_what_no_record_names_is_removed(
    records: Records, store: RevisionStore, tmp_path: Path
) -> None:
    """Once it is older than an upload that may go on, and a dry run tells of it before."""
    kept = await put(records, store, tmp_path / "kept", record=True)
    stray = await put(records, store, tmp_path / "stray", record=False)
    young = garbage(records, store, timedelta(hours=48))
    for dry_run in (True, False):
        assert await young.collect(PARTNER, dry_run=dry_run) == Collected()
    old = garbage(records, store, timedelta(0))
    told = await old.collect(PARTNER, dry_run=True)
    assert told == Collected(strays=(stray,), freed_bytes=len("stray"))
    assert store.names() == sorted([kept, stray])
    assert await old.collect(PARTNER, dry_run=False) == told
    assert store.names() == [kept]
    store.verify(kept)
    assert await old.collect(PARTNER, dry_run=False) == Collected()


async def test_what_is_removed_is_in_its_history(
    records: Records, store: RevisionStore, tmp_path: Path
) -> None:
    """By whom, and that it came back; old jobs and calls go with it."""
    name = await put(records, store, tmp_path / "in", record=True)
    await records.ask(lambda s: s.happen(name, Event.FAILED, PARTNER, "refused"))
    await records.ask(lambda s: s.add_job(job("old", name)))
    await records.ask(lambda s: s.finish("old"))
    collecting = Garbage(
        records, store, nothing, retention=timedelta(0), upload_age=timedelta(hours=48)
    )
    told = await collecting.collect(PARTNER, dry_run=True)
    assert told == Collected(revisions=(name,), freed_bytes=2)
    assert await records.ask(lambda s: s.job("old")) is not None
    assert await collecting.collect(PARTNER, dry_run=False) == told
    assert await records.ask(lambda s: s.job("old")) is None
    record = await records.ask(lambda s: s.get(name))
    assert record is not None
    await records.ask(lambda s: s.add(_anew(record), PARTNER, "uploaded"))
    changes = await records.ask(lambda s: s.changes(0, revision=name))
    assert [(c.before, c.state, c.because, c.actor) for c in changes[-2:]] == [
        (State.REJECTED, State.REJECTED, "its bytes were removed", PARTNER),
        (State.REJECTED, State.REJECTED, "its bytes were uploaded again", PARTNER),
    ]


async def test_a_stray_whose_manifest_cannot_be_read_goes(
    records: Records, store: RevisionStore, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """However young it is: nobody can load it, and no upload of it is going on."""
    kept = await put(records, store, tmp_path / "kept", record=True)
    stray = await put(records, store, tmp_path / "stray", record=False)
    damage(request, tmp_path, stray)
    collecting = garbage(records, store, timedelta(hours=48))
    told = await collecting.collect(PARTNER, dry_run=True)
    # Which contents were its own nobody knows any more, so they are told one by one.
    contents = (sha256_hex(b"stray"),)
    assert told == Collected(strays=(stray,), contents=contents, freed_bytes=len("stray"))
    assert await collecting.collect(PARTNER, dry_run=False) == told
    assert store.names() == [kept]
    store.verify(kept)


async def test_a_damaged_manifest_keeps_nothing_else(
    records: Records,
    store: RevisionStore,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is named with an alarm, its bytes stay as its record names them, and the rest goes."""
    broken, gone = [
        await put(records, store, tmp_path / folder, record=True) for folder in ("one", "two")
    ]
    refused = await put(records, store, tmp_path / "refused", record=True)
    await records.ask(lambda s: s.happen(refused, Event.FAILED, PARTNER, "refused"))
    stray = await put(records, store, tmp_path / "stray", record=False)
    damage(request, tmp_path, broken)
    damage(request, tmp_path, gone, b"")
    alarms = Alarms()
    collecting = Garbage(
        records, store, nothing, retention=timedelta(0), upload_age=timedelta(0), observer=alarms
    )
    told = await collecting.collect(PARTNER, dry_run=True)
    assert told == Collected(
        revisions=(refused,),
        strays=(stray,),
        damaged=tuple(sorted([broken, gone])),
        freed_bytes=len("refused") + len("stray"),
    )
    caplog.clear()
    assert await collecting.collect(PARTNER, dry_run=False) == told
    said: list[Any] = [line for line in caplog.records if line.message == "adapter.corrupt"]
    assert [line.facts["revision"] for line in said] == [broken, gone]
    assert alarms.raised == 4
    assert store.names() == [broken]
    for folder in ("one", "two"):
        await put(records, store, tmp_path / folder, record=True)
    assert await collecting.collect(PARTNER, dry_run=False) == Collected()
    for name in (broken, gone):
        store.verify(name)


async def test_what_an_earlier_run_left_is_named(
    records: Records, store: RevisionStore, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It was noted as gone, or its manifest went too, and the process died: the next run tells."""
    noted, half = [
        await put(records, store, tmp_path / folder, record=True) for folder in ("noted", "half")
    ]
    for name in (noted, half):
        await records.ask(lambda s, n=name: s.happen(n, Event.FAILED, PARTNER, ""))  # type: ignore[misc]
        assert await records.ask(lambda s, n=name: s.mark_removed(n))  # type: ignore[misc]
    nameless = await put(records, store, tmp_path / "nameless", record=False)
    content = sha256_hex(b"nameless")
    for name in (half, nameless):
        damage(request, tmp_path, name, b"")
    collecting = garbage(records, store, timedelta(hours=48))
    told = await collecting.collect(PARTNER, dry_run=True)
    assert told == Collected(
        revisions=tuple(sorted([noted, half])),
        contents=(content,),
        freed_bytes=len("noted") + len("half") + len("nameless"),
    )
    assert await collecting.collect(PARTNER, dry_run=False) == told
    assert store.names() == []
    assert await collecting.collect(PARTNER, dry_run=False) == Collected()


async def test_what_is_kept_is_asked_for_together(
    records: Records, store: RevisionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are asked as often for many revisions as for one, and in parts: others get a turn."""
    collecting = garbage(records, store, timedelta(0))
    asked: list[str] = []

    def count(*event: Any) -> None:
        asked.append(event[2])

    names = [await put(records, store, tmp_path / "0", record=True)]
    sqlalchemy.event.listen(Engine, "before_cursor_execute", count)
    try:
        assert await collecting.collect(PARTNER, dry_run=False) == Collected()
        few = len(asked)
        sqlalchemy.event.remove(Engine, "before_cursor_execute", count)
        names += [await put(records, store, tmp_path / str(i), record=True) for i in range(1, 8)]
        sqlalchemy.event.listen(Engine, "before_cursor_execute", count)
        asked.clear()
        assert await collecting.collect(PARTNER, dry_run=False) == Collected()
        assert len(asked) == few
    finally:
        sqlalchemy.event.remove(Engine, "before_cursor_execute", count)
    monkeypatch.setattr(garbage_module, "MOST_READ", 3)
    stray = await put(records, store, tmp_path / "stray", record=False)
    assert (await collecting.collect(PARTNER, dry_run=False)).strays == (stray,)
    assert store.names() == sorted(names)


def damage(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, document: bytes = b"{}"
) -> None:
    """Let a revision's manifest rot, or go: empty; wherever the store of a test is."""
    key = f"revisions/{name}/manifest.json"
    if "s3" in request.node.callspec.id:
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        path = f"{BUCKET}/strays/{key}"
        files.pipe_file(path, document) if document else files.rm_file(path)
        return
    kept = tmp_path / "store" / key
    kept.unlink()
    if document:
        kept.write_bytes(document)


def _anew(record: RevisionRecord) -> RevisionRecord:
    """Give what an upload of the same bytes would add."""
    return replace(record, state=State.VALIDATING, removed=False)
