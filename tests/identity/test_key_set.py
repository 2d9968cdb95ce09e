"""An issuer's keys: fetched by one, for all, not too often, and forgotten when they are gone."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tame_router.identity.jwks_source import SourceError
from tame_router.identity.key_set import RETRY_S, STALE_S, KeySet
from tame_router.identity.verifying_key import choose_key, read_keys
from tests.identity.world import public_jwk

pytestmark = pytest.mark.anyio

ONE, TWO = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
REFRESH_S = 300.0


class Issuer:
    """Gives keys when asked, or fails.

    Attributes:
        keys: What it gives; None: it cannot be reached.
        asked: How often it was asked.
        reached: Set once it was asked.
        gate: Holds the answers back until it is set.
        now: Seconds.
    """

    def __init__(self) -> None:
        self.keys: Any = [public_jwk(ONE, "one")]
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.now = 0.0

    def fetch(self) -> dict[str, Any]:
        """Give the document."""
        self.asked += 1
        self.reached.set()
        self.gate.wait(10)
        if self.keys is None:
            raise SourceError("down")
        return {"keys": self.keys}


@pytest.fixture
def issuer() -> Issuer:
    """Give an issuer with one key."""
    return Issuer()


@pytest.fixture
async def keys(issuer: Issuer) -> AsyncIterator[KeySet]:
    """Give its key set."""
    made = KeySet("issuer", issuer.fetch, REFRESH_S, lambda: issuer.now)
    yield made
    made.close()


async def landed(keys: KeySet, ready: Callable[[], bool]) -> None:
    """Let a fetch that nobody waits for come home."""
    async with asyncio.timeout(10):
        while not ready():
            await keys._landing()
            await asyncio.sleep(0)


async def test_many_callers_fetch_once(keys: KeySet, issuer: Issuer) -> None:
    """While a fetch is under way everyone waits for the same one."""
    issuer.gate.clear()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(keys.find("one", "ES256")) for _ in range(50)]
        gone = group.create_task(keys.find("one", "ES256"))
        assert await asyncio.to_thread(issuer.reached.wait, 10)
        gone.cancel()
        issuer.gate.set()
    assert all(call.result() for call in calls)
    assert issuer.asked == 1


async def test_a_new_key_is_found_at_once(keys: KeySet, issuer: Issuer) -> None:
    """An unknown id asks the issuer, but not more often than the limit; the old key is gone."""
    assert await keys.find("one", "ES256")
    issuer.keys = [public_jwk(TWO, "two")]
    assert await keys.find("two", "ES256") is None
    assert issuer.asked == 1
    issuer.now += RETRY_S
    assert await keys.find("two", "ES256")
    assert await keys.find("one", "ES256") is None
    for n in range(100):
        assert await keys.find(f"made-up-{n}", "ES256") is None
    assert issuer.asked == 2


async def test_keys_are_refreshed_behind_the_callers(keys: KeySet, issuer: Issuer) -> None:
    """After the refresh time the old keys answer while the new ones are fetched."""
    assert await keys.find("one", "ES256")
    issuer.keys = [public_jwk(TWO, "two")]
    issuer.now += REFRESH_S + 1
    issuer.gate.clear()
    assert await keys.find("one", "ES256")
    issuer.gate.set()
    await landed(keys, lambda: keys.version == 2)
    assert await keys.find("one", "ES256") is None
    assert await keys.find(None, "ES256")


async def test_keys_outlive_their_issuer_for_a_while(
    keys: KeySet, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is down its keys count for the stated time, and not longer; then it is back."""
    assert await keys.find("one", "ES256")
    given, issuer.keys = issuer.keys, None
    issuer.now = REFRESH_S + STALE_S
    assert await keys.find("one", "ES256")
    issuer.now += RETRY_S
    assert await keys.find("one", "ES256") is None
    assert "jwks.unreachable" in [record.message for record in caplog.records]
    issuer.keys = given
    issuer.now += RETRY_S
    assert await keys.find("one", "ES256")


@pytest.mark.parametrize("keys_given", [None, [], "x", [1], [{"kty": "oct", "k": "AA"}]])
async def test_no_keys_is_nobody(keys: KeySet, issuer: Issuer, keys_given: Any) -> None:
    """What gives no usable key is as if it could not be reached."""
    issuer.keys = keys_given
    assert await keys.find("one", "ES256") is None
    assert await keys.find(None, "ES256") is None


async def test_closing_ends_a_fetch(issuer: Issuer) -> None:
    """A fetch that waits its turn is dropped; nothing hangs."""
    keys = KeySet("issuer", issuer.fetch, REFRESH_S, lambda: issuer.now)
    issuer.gate.clear()
    async with asyncio.TaskGroup() as group:
        call = group.create_task(keys.find("one", "ES256"))
        assert await asyncio.to_thread(issuer.reached.wait, 10)
        keys.close()
        issuer.gate.set()
    assert call.result()


UNUSABLE: list[dict[str, Any]] = [
    {"kty": "oct", "k": "AAAA", "kid": "x"},
    {**public_jwk(ONE, "x"), "use": "enc"},
    {**public_jwk(ONE, "x"), "d": "AAAA"},
    {**public_jwk(ONE, "x"), "alg": "RS256"},
    {**public_jwk(ONE, "x"), "x": "!"},
    {"kty": "RSA", "kid": "x"},
    {"kty": "EC", "crv": "secp256k1", "kid": "x"},
    public_jwk(rsa.generate_private_key(65537, 1024), "x"),  # noqa: S505 - the point
]


@pytest.mark.parametrize("entry", UNUSABLE)
async def test_a_key_that_must_not_verify_is_passed_over(entry: dict[str, Any]) -> None:
    """Shared, private, weak, foreign and damaged keys verify nothing; their neighbour does."""
    found = read_keys({"keys": [entry, public_jwk(TWO, "good")]})
    assert [key.key_id for key in found] == ["good"]


async def test_a_key_is_chosen_by_its_id_and_kind() -> None:
    """Without an id it must be the only one; with one, id and algorithm must both fit."""
    two = read_keys({"keys": [public_jwk(ONE, "one"), public_jwk(TWO, "two")]})
    assert choose_key(two, None, "ES256") is None
    assert choose_key(two, "two", "ES256") is two[1]
    assert choose_key(two, "two", "RS256") is None
    assert choose_key(two[:1], None, "ES256") is two[0]
    assert choose_key((), None, "ES256") is None
