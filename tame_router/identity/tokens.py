"""From a token (JWT) to a principal."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from tame_router.identity.principal import Method, Principal
from tame_router.identity.refusal import Reason, Refused
from tame_router.identity.token_issuer import UNREADABLE, Claims, TokenIssuer
from tame_router.tenancy.access import BindingKind
from tame_router.tenancy.snapshot import Snapshot

MAX_VERIFIED = 4096
"""Verified tokens that are remembered."""

VERIFIED_S = 60.0
"""Longest time that one is remembered; a key that its issuer drops ends it sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    claims: Claims
    issuer: TokenIssuer
    forget_time_s: float


class Tokens:
    """Finds out whom tokens stand for.

    Args:
        issuers: Whose tokens are taken.
    """

    def __init__(self, issuers: Iterable[TokenIssuer]) -> None:
        self._issuers = {issuer.settings.issuer: issuer for issuer in issuers}
        self._verified: dict[bytes, _Verified] = {}

    async def identify(self, token: str, snapshot: Snapshot, now: datetime) -> Principal:
        """Tell whose token it is.

        Raises:
            Refused: When it does not count, or its tenant is nobody's name here.
        """
        claims = await self._claims(token, now.timestamp())
        binding = snapshot.bindings.get((BindingKind.JWT, claims.name))
        if binding is None:
            raise Refused(Reason.TOKEN_UNBOUND, claims.name)
        return Principal(
            tenant=binding.tenant,
            subject=claims.subject,
            method=Method.JWT,
            scopes=binding.scopes & claims.scopes,
        )

    def close(self) -> None:
        """Let go of the threads that fetch keys."""
        for issuer in self._issuers.values():
            issuer.keys.close()

    async def _claims(self, token: str, now_s: float) -> Claims:
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known and known.claims.key_version == known.issuer.keys.version:
            if now_s >= known.claims.end_time_s:
                raise Refused(Reason.TOKEN_TIME, known.issuer.settings.issuer)
            if now_s < known.forget_time_s:
                return known.claims
        self._verified.pop(digest, None)
        header, issuer = self._read(token)
        claims = await issuer.verify(token, header)
        if len(self._verified) >= MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]  # the one that was verified first
        self._verified[digest] = _Verified(
            claims=claims, issuer=issuer, forget_time_s=now_s + VERIFIED_S
        )
        return claims

    def _read(self, token: str) -> tuple[Mapping[str, Any], TokenIssuer]:
        """Read who a token says made it; nothing of it is proved yet."""
        try:
            found = jwt.decode_complete(token, options={"verify_signature": False})
        except UNREADABLE:
            raise Refused(Reason.TOKEN_MALFORMED) from None
        name = found["payload"].get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise Refused(Reason.TOKEN_ISSUER, name if isinstance(name, str) else "")
        return found["header"], issuer
