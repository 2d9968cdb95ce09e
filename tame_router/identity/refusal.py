"""Why a caller was not let in: told to the operator, never to the caller."""

import enum
import logging
import time
from collections.abc import Callable

from tame_router.telemetry import log

LINES_PER_S = 10
"""Refusals that are logged in a second; whoever hammers at the door must not fill the disk."""

MAX_NAME = 200
"""Longest name in a log line, in characters."""


class Reason(enum.StrEnum):
    """What was wrong, coarsely."""

    NOTHING = "nothing"
    """No key, token or certificate came."""
    MALFORMED = "malformed"
    """A header of another form than `Bearer …`, empty, too long, or not ASCII."""
    SEVERAL = "several"
    """More than one value of a header, or two headers that differ."""
    KEY_MALFORMED = "key_malformed"
    KEY_WRONG = "key_wrong"
    """No such key id, or another secret."""
    KEY_ENDED = "key_ended"
    """The right key, expired or revoked."""
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a reason, no password
    TOKEN_ISSUER = "token_issuer"  # noqa: S105
    TOKEN_ALGORITHM = "token_algorithm"  # noqa: S105
    TOKEN_KEY = "token_key"  # noqa: S105
    """The issuer has no such key (any more), or its keys cannot be had."""
    TOKEN_SIGNATURE = "token_signature"  # noqa: S105
    TOKEN_TIME = "token_time"  # noqa: S105
    """Expired, or not yet valid."""
    TOKEN_CLAIM = "token_claim"  # noqa: S105
    """Another audience, or a claim that is missing or of another form."""
    TOKEN_UNBOUND = "token_unbound"  # noqa: S105
    """Valid, of nobody known here."""
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_TIME = "certificate_time"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_UNCHECKED = "certificate_unchecked"
    """Its authority's revocation list is missing or too old to go by."""
    CERTIFICATE_UNBOUND = "certificate_unbound"
    TENANT_CLOSED = "tenant_closed"
    """A valid proof, of a tenant that is suspended or gone."""
    TENANTS_DIFFER = "tenants_differ"
    """Two valid proofs, of different tenants."""


class Refused(Exception):
    """Somebody is not let in.

    Args:
        reason: Why.
        name: Whose proof it was, as far as that is no secret: key id, issuer, subject.
    """

    def __init__(self, reason: Reason, name: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        # A stranger may have written it: no line of its own, no colours on a terminal.
        self.name = "".join(c if c.isprintable() else "?" for c in name[:MAX_NAME])


class RefusalLog:
    """Counts refusals, and logs as many of them as a log can bear.

    Args:
        on_refused: Called with the reason of each, for metrics.
        clock: Seconds on any steady clock.
    """

    def __init__(
        self,
        on_refused: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_refused = on_refused
        self._clock = clock
        self._second = -1
        self._lines = 0
        self._unlogged = 0

    def note(self, refused: Refused) -> None:
        """Take note of a refusal."""
        self._on_refused(refused.reason.value)
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines = second, 0
        if self._lines >= LINES_PER_S:
            self._unlogged += 1
            return
        self._lines += 1
        facts: dict[str, str | int] = {"because": refused.reason.value}
        if refused.name:
            facts["whose"] = refused.name
        if self._unlogged:
            facts["unlogged"] = self._unlogged
            self._unlogged = 0
        log.event(logging.WARNING, "identity.refused", **facts)
