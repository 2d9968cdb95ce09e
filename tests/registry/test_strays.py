"""Bytes that a crash left in the store before their record was written, in a folder and in S3."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.registry.garbage import Garbage
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


def _anew(record: RevisionRecord) -> RevisionRecord:
    """Give what an upload of the same bytes would add."""
    return replace(record, state=State.VALIDATING, removed=False)
