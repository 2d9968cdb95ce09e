"""Keys are made whole once, and what is kept of them lets their bearer in."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tame_router.admission.key_issue import KeyWish, Rotation, issue_key, rotate_key
from tame_router.config import StoreSettings
from tame_router.errors import AlreadyExistsError, InvalidRequestError
from tame_router.identity import api_key
from tame_router.store import Database
from tame_router.tenancy.administration import Administration
from tame_router.tenancy.store import TenantStore
from tame_router.tenancy.tenant import Scope
from tests.tenancy.known import HOSPITAL, LATER, NOON


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Administration]:
    """Give an administration that knows the hospital."""
    database = Database(StoreSettings(), tmp_path)
    desk = Administration(TenantStore(database), lambda: ["medical"], by="command")
    desk.create(HOSPITAL)
    yield desk
    database.close()


def test_the_key_is_the_one_that_is_kept(desk: Administration) -> None:
    """Its id leads to its digest, and it is written nowhere else."""
    wish = KeyWish(tenant="hospital", scopes=frozenset({Scope.USAGE}), title="HIS")
    made = issue_key(desk, wish, NOON)
    kept = desk.snapshot().keys[api_key.parse(made.text) or ""]
    assert kept == made.kept
    assert api_key.matches(made.text, kept.digest)
    assert kept.scopes == {Scope.USAGE}
    assert (kept.title, kept.expire_time) == ("HIS", None)
    assert made.text not in repr(made)


def test_the_new_key_is_as_the_old(desk: Administration) -> None:
    """Scopes and title are the same, and it lasts as long as the old one was made to last."""
    wish = KeyWish(tenant="hospital", title="HIS", expire_time=NOON + timedelta(days=30))
    old = issue_key(desk, wish, NOON)
    begun = NOON + timedelta(days=20)
    rotation = Rotation(key_id=old.kept.key_id, overlap=timedelta(days=2), tenant="hospital")
    new = rotate_key(desk, rotation, begun)
    assert new.text != old.text
    assert (new.kept.scopes, new.kept.title) == (old.kept.scopes, "HIS")
    assert new.kept.expire_time == begun + timedelta(days=30)
    keys = desk.snapshot().keys
    moments = (begun, begun + timedelta(days=2))
    assert [keys[old.kept.key_id].counts(moment) for moment in moments] == [True, False]
    assert [keys[new.kept.key_id].counts(moment) for moment in moments] == [True, True]


def test_an_end_of_ones_own_is_taken(desk: Administration) -> None:
    """A rotation may name it; it must be to come."""
    old = issue_key(desk, KeyWish(tenant="hospital"), NOON).kept.key_id
    with pytest.raises(InvalidRequestError, match="has passed"):
        rotate_key(desk, Rotation(key_id=old, overlap=timedelta(0), expire_time=NOON), LATER)
    rotation = Rotation(key_id=old, overlap=timedelta(0), expire_time=LATER)
    assert rotate_key(desk, rotation, NOON).kept.expire_time == LATER


def test_an_attempt_makes_one_key(desk: Administration) -> None:
    """Repeated, it is told that the key was shown before."""
    wish = KeyWish(tenant="hospital", request_id="request-1")
    made = issue_key(desk, wish, NOON)
    with pytest.raises(AlreadyExistsError, match=made.kept.key_id):
        issue_key(desk, wish, NOON)
    assert set(desk.snapshot().keys) == {made.kept.key_id}
