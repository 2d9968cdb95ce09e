"""The one key or token that came with a call, or why that cannot be told. No clock, no store."""

import re

from tame_router.identity.api_key import PREFIX
from tame_router.identity.credentials import Credentials
from tame_router.identity.refusal import Reason, Refused

MAX_BYTES = 8 * 2**10
"""Longest header value that is looked at; tokens of large organisations have 2 to 4 KiB."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""Source: https://www.rfc-editor.org/rfc/rfc6750#section-2.1"""
_SCHEME = "bearer "


def read_bearer(credentials: Credentials) -> str:
    """Give the key or token; empty: none came.

    Two readers of one request that choose different values are how identities are
    smuggled, so nothing is ever chosen: more than one is refused.

    Raises:
        Refused: When there is more than one, or it is not of the form that it must have.
    """
    authorization, api_key = credentials.authorization, credentials.api_key
    if len(authorization) > 1 or len(api_key) > 1:
        raise Refused(Reason.SEVERAL)
    bearer = _after_scheme(authorization[0]) if authorization else ""
    key = _key(api_key[0]) if api_key else ""
    if bearer and key and bearer != key:
        raise Refused(Reason.SEVERAL)
    return bearer or key


def _after_scheme(value: str) -> str:
    _bound(value)
    if value[: len(_SCHEME)].lower() != _SCHEME:
        raise Refused(Reason.MALFORMED)
    return _formed(value[len(_SCHEME) :])


def _key(value: str) -> str:
    _bound(value)
    if not value.startswith(PREFIX):
        raise Refused(Reason.MALFORMED)
    return _formed(value)


def _bound(value: str) -> None:
    if len(value) > MAX_BYTES:
        raise Refused(Reason.MALFORMED)


def _formed(value: str) -> str:
    if _TOKEN.fullmatch(value) is None:
        raise Refused(Reason.MALFORMED)
    return value
