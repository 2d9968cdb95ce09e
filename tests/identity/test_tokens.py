"""Verified tokens are remembered: briefly, boundedly, and not beyond their key or their end."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from tame_router.config_access import JwtSettings
from tame_router.identity import tokens as tokens_module
from tame_router.identity.jwks_source import SourceError
from tame_router.identity.key_set import RETRY_S, KeySet
from tame_router.identity.principal import Principal
from tame_router.identity.refusal import Reason, Refused
from tame_router.identity.token_issuer import TokenIssuer
from tame_router.identity.tokens import VERIFIED_S, Tokens
from tame_router.tenancy.access import BindingKind
from tame_router.tenancy.snapshot import Snapshot
from tests.identity.world import AUDIENCE, ISSUER, LEEWAY_S, NOW, Signers, bound

pytestmark = pytest.mark.anyio

SIGNERS = Signers()
SNAPSHOT = Snapshot.of([], bindings=[bound(BindingKind.JWT, f"{ISSUER} hospital")])


class Verified:
    """Tokens of one issuer, and how often one was verified.

    Attributes:
        count: Signatures that were verified.
        document: What the issuer gives.
        seconds: Steady time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.seconds = 0, 0.0
        self.document: dict[str, Any] | None = SIGNERS.jwks()
        settings = JwtSettings(issuer=ISSUER, audience=AUDIENCE, leeway_s=LEEWAY_S, refresh_s=300)
        self.keys = KeySet(ISSUER, self._fetch, settings.refresh_s, lambda: self.seconds)
        self.tokens = Tokens([TokenIssuer(settings, self.keys)])
        decode = jwt.decode

        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            return decode(*arguments, **options)

        monkeypatch.setattr(jwt, "decode", counted)

    def _fetch(self) -> dict[str, Any]:
        if self.document is None:
            raise SourceError("down")
        return self.document

    async def identify(self, token: str, now: datetime = NOW) -> Principal:
        """Tell whose token it is."""
        return await self.tokens.identify(token, SNAPSHOT, now)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Verified:
    """Give tokens that count."""
    return Verified(monkeypatch)


async def test_a_token_is_verified_once_in_a_while(verified: Verified) -> None:
    """Within the time it is remembered no signature is looked at; after it, again."""
    token = SIGNERS.token()
    for seconds in (0, 1, VERIFIED_S - 1):
        await verified.identify(token, NOW + timedelta(seconds=seconds))
    assert verified.count == 1
    await verified.identify(token, NOW + timedelta(seconds=VERIFIED_S))
    assert verified.count == 2
    await verified.identify(SIGNERS.token(sub="somebody else"))
    assert verified.count == 3
    verified.tokens.close()


async def test_a_remembered_token_still_ends(verified: Verified) -> None:
    """Its expiry, with the forgiven difference, counts to the second."""
    end = int(time.time()) + 20
    token = SIGNERS.token(exp=end)
    last = datetime.fromtimestamp(end + LEEWAY_S, UTC)
    await verified.identify(token, last - timedelta(seconds=1))
    with pytest.raises(Refused) as caught:
        await verified.identify(token, last)
    assert caught.value.reason is Reason.TOKEN_TIME
    assert verified.count == 1
    verified.tokens.close()


async def test_a_remembered_token_ends_with_its_key(verified: Verified) -> None:
    """When its issuer drops the key, the next fetch ends every token that it signed."""
    token = SIGNERS.token()
    await verified.identify(token)
    verified.document = SIGNERS.lone_jwks()
    verified.seconds += RETRY_S
    with pytest.raises(Refused):
        await verified.identify(SIGNERS.token(headers={"kid": "new"}))
    with pytest.raises(Refused) as caught:
        await verified.identify(token)
    assert caught.value.reason is Reason.TOKEN_KEY
    verified.tokens.close()


async def test_an_issuer_that_is_down_lets_nobody_in(verified: Verified) -> None:
    """Without its keys nothing can be verified."""
    verified.document = None
    with pytest.raises(Refused) as caught:
        await verified.identify(SIGNERS.token())
    assert caught.value.reason is Reason.TOKEN_KEY
    verified.tokens.close()


async def test_what_is_remembered_is_bounded(
    verified: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was verified first is forgotten first."""
    monkeypatch.setattr(tokens_module, "MAX_VERIFIED", 3)
    every = [SIGNERS.token(sub=f"s{n}") for n in range(4)]
    for token in every:
        await verified.identify(token)
    await verified.identify(every[1])
    assert verified.count == 4
    await verified.identify(every[0])
    assert verified.count == 5
    verified.tokens.close()


@pytest.mark.parametrize("claim", ["", "x" * 257, "two\nlines", 7, {"a": 1}, None])
async def test_a_claim_that_is_no_name_is_refused(verified: Verified, claim: object) -> None:
    """A tenant is a short, printable text."""
    with pytest.raises(Refused) as caught:
        await verified.identify(SIGNERS.token(tenant=claim))
    assert caught.value.reason is Reason.TOKEN_CLAIM
    verified.tokens.close()
