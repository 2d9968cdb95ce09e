"""An upload that has begun is known until it is finished or too old."""

from datetime import timedelta

import pytest

from tame_router.registry.record_store import RecordStore
from tame_router.registry.upload_store import UploadRecord
from tame_router.store import Database
from tests.registry.known import NOON, Clock

ANNOUNCED = UploadRecord(
    upload_id="u1", tenant="partner", expert="legal", announcement='{"files": []}', create_time=NOON
)


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, Clock())


def test_an_upload_is_known_until_it_is_dropped(store: RecordStore) -> None:
    """Begun again it is the same, with the time of its first beginning."""
    assert store.upload("u1") is None
    saved = store.save_upload("u1", "partner", "legal", '{"files": []}', NOON)
    assert saved == store.upload("u1") == ANNOUNCED
    again = store.save_upload("u1", "partner", "legal", "{}", NOON + timedelta(hours=1))
    assert again == ANNOUNCED
    assert store.drop_upload("u1")
    assert store.drop_upload("u1") is False
    assert store.upload("u1") is None


def test_old_uploads_are_found(store: RecordStore) -> None:
    """Those that began before the moment, the oldest first."""
    for number in (2, 0, 1, 3):
        begin = NOON + timedelta(hours=number)
        store.save_upload(f"u{number}", "partner", "legal", "{}", begin)
    old = store.old_uploads(NOON + timedelta(hours=2))
    assert [upload.upload_id for upload in old] == ["u0", "u1"]
