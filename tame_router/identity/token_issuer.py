"""What a token says once its signature, issuer, audience and dates have been verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from tame_router.config_access import JwtSettings
from tame_router.identity.key_set import KeySet
from tame_router.identity.refusal import Reason, Refused
from tame_router.tenancy.tenant import Scope

MAX_CLAIM = 256
"""Longest tenant or subject, in characters."""

_REQUIRED = ["exp", "iss", "aud", "sub"]
_SCOPES = {scope.value: scope for scope in Scope}
_TIME_ERRORS = (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError)
_CLAIM_ERRORS = (
    jwt.InvalidAudienceError,
    jwt.InvalidIssuerError,
    jwt.InvalidIssuedAtError,
    jwt.MissingRequiredClaimError,
)
UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError)
"""What reading a stranger's token may raise: nested lists and infinite dates are among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What counts of a verified token.

    Attributes:
        name: Its issuer and tenant, as bindings write it.
        subject: Its bearer.
        scopes: Those of ours that it lists; without any: chat.
        end_time_s: When it ends, the forgiven clock difference included, seconds since 1970.
        key_version: Version of the issuer's keys that verified it.
    """

    name: str
    subject: str
    scopes: frozenset[Scope]
    end_time_s: float
    key_version: int


class TokenIssuer:
    """Verifies the tokens of one issuer.

    Args:
        settings: What its tokens must say.
        keys: Its keys.
    """

    def __init__(self, settings: JwtSettings, keys: KeySet) -> None:
        self.settings = settings
        self.keys = keys

    async def verify(self, token: str, header: Mapping[str, Any]) -> Claims:
        """Read a token that is this issuer's by its own word.

        Args:
            token: The token.
            header: Its header, unverified.

        Raises:
            Refused: When anything about it is wrong.
        """
        settings = self.settings
        algorithm = header.get("alg")
        if algorithm not in settings.algorithms:
            raise Refused(Reason.TOKEN_ALGORITHM, settings.issuer)
        key = await self.keys.find(header.get("kid"), str(algorithm))
        if key is None:
            raise Refused(Reason.TOKEN_KEY, settings.issuer)
        try:
            payload = jwt.decode(
                token,
                key.key,
                algorithms=[str(algorithm)],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway_s,
                options={"require": _REQUIRED},
            )
            return self._claims(payload)
        except UNREADABLE as error:
            raise Refused(_reason(error), settings.issuer) from error

    def _claims(self, payload: Mapping[str, Any]) -> Claims:
        tenant = payload.get(self.settings.tenant_claim)
        subject = payload["sub"]
        if not (_short(tenant) and _short(subject)):
            raise Refused(Reason.TOKEN_CLAIM, self.settings.issuer)
        return Claims(
            name=f"{self.settings.issuer} {tenant}",
            subject=subject,
            scopes=read_scopes(payload.get(self.settings.scope_claim)),
            end_time_s=int(payload["exp"]) + self.settings.leeway_s,
            key_version=self.keys.version,
        )


def read_scopes(claim: object) -> frozenset[Scope]:
    """Give those of our scopes that a claim lists, as words or as a list; without any: chat."""
    words = claim.split() if isinstance(claim, str) else claim
    listed = words if isinstance(words, list) else []
    ours = frozenset(_SCOPES[word] for word in listed if isinstance(word, str) and word in _SCOPES)
    return ours or frozenset((Scope.CHAT,))


def _short(claim: object) -> bool:
    return isinstance(claim, str) and 0 < len(claim) <= MAX_CLAIM and claim.isprintable()


def _reason(error: Exception) -> Reason:
    if isinstance(error, _TIME_ERRORS):
        return Reason.TOKEN_TIME
    if isinstance(error, _CLAIM_ERRORS):
        return Reason.TOKEN_CLAIM
    if isinstance(error, jwt.InvalidSignatureError):
        return Reason.TOKEN_SIGNATURE
    return Reason.TOKEN_MALFORMED
