"""API keys: their form, their checksum, and a comparison that tells nothing by its time."""

import hashlib
import hmac
import string
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.identity import api_key
from tame_router.identity.keyring import identify_key
from tame_router.identity.refusal import Reason, Refused
from tame_router.tenancy.access import ApiKey
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.tenant import Tenant

KEY = api_key.make()


def test_a_new_key_is_read_back() -> None:
    """Its id is found in it, its digest is that of the whole, and it shows no key in a log."""
    made = api_key.make()
    assert api_key.parse(made.key) == made.key_id
    assert made.digest == hashlib.sha256(made.key.encode()).digest() == api_key.digest(made.key)
    assert made.key not in repr(made)
    assert made.key_id in repr(made)
    assert len(made.key_id) == 12
    assert made.key.startswith(f"tame_{made.key_id}_")


def test_keys_differ() -> None:
    """No two keys share an id or a secret."""
    made = [api_key.make() for _ in range(200)]
    assert len({key.key_id for key in made}) == len({key.key[18:] for key in made}) == 200


@given(cut=st.integers(1, len(KEY.key)))
def test_a_truncated_key_is_noticed(cut: int) -> None:
    """Whatever is missing at either end, it is no key."""
    assert api_key.parse(KEY.key[:-cut]) is None
    assert api_key.parse(KEY.key[cut:]) is None


@given(
    place=st.integers(0, len(KEY.key) - 1),
    letter=st.sampled_from(string.ascii_letters + string.digits),
)
def test_a_mistyped_key_is_noticed(place: int, letter: str) -> None:
    """One wrong letter anywhere is found by the checksum, before any look-up."""
    typed = KEY.key[:place] + letter + KEY.key[place + 1 :]
    assert (api_key.parse(typed) == KEY.key_id) is (typed == KEY.key)


@given(text=st.text(max_size=90))
def test_what_is_no_key_is_read_as_none(text: str) -> None:
    """No text crashes the reader."""
    assert api_key.parse(text) is None
    assert api_key.parse("tame_" + text) is None


@pytest.mark.parametrize("extra", ["a", "\n", " ", "\x00", "=", "é"])
def test_an_extended_key_is_noticed(extra: str) -> None:
    """Nothing may stand behind or before a key, not even a line end."""
    assert api_key.parse(KEY.key + extra) is None
    assert api_key.parse(extra + KEY.key) is None


def test_only_the_kept_key_matches() -> None:
    """The right digest matches; another, none, and the stand-in for none do not."""
    assert api_key.matches(KEY.key, KEY.digest)
    assert not api_key.matches(KEY.key, api_key.make().digest)
    assert not api_key.matches(KEY.key, None)
    assert not api_key.matches(KEY.key, api_key.NO_DIGEST)


def test_an_unknown_key_costs_the_work_of_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One digest and one comparison of 32 bytes each, whatever is kept: no time tells."""
    work: list[tuple[str, int, int]] = []

    def counted(one: bytes, other: bytes) -> bool:
        work.append(("compare", len(one), len(other)))
        return hmac.compare_digest(one, other)

    class _Counting:
        compare_digest = staticmethod(counted)

    monkeypatch.setattr(api_key, "hmac", _Counting)
    for kept in (None, api_key.make().digest, KEY.digest):
        api_key.matches(KEY.key, kept)
    assert work == [("compare", 32, 32)] * 3


@pytest.mark.parametrize("right", [True, False], ids=["checksum right", "checksum wrong"])
def test_an_unknown_key_is_told_by_the_steps_of_a_wrong_one(
    monkeypatch: pytest.MonkeyPatch, *, right: bool
) -> None:
    """Whether an id is known shows in no work: each digest, comparison and checksum is made."""
    work: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        really = getattr(api_key, name)

        def count(*given: Any) -> Any:
            work.append(name)
            return really(*given)

        return count

    for name in ("matches", "digest", "_checksum"):
        monkeypatch.setattr(api_key, name, counted(name))
    now = datetime.now(UTC)
    tenant = Tenant(name="hospital")
    other = ApiKey(
        key_id=KEY.key_id,
        digest=api_key.make().digest,
        tenant="hospital",
        scopes=frozenset(),
        title="",
        create_time=now,
    )
    sent = KEY.key if right else KEY.key[:-1] + ("0" if KEY.key[-1] != "0" else "1")
    told: list[tuple[list[str], Reason]] = []
    for known in ([], [other]):
        work.clear()
        with pytest.raises(Refused) as caught:
            identify_key(sent, Snapshot.of([tenant], known), now)
        told.append((list(work), caught.value.reason))
    reason = Reason.KEY_WRONG if right else Reason.KEY_MALFORMED
    assert told == [(["matches", "digest", "_checksum"], reason)] * 2
