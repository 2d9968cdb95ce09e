"""What an error says about the replica it came from, and whether another may do better. Pure."""

import enum
import errno
from dataclasses import dataclass
from typing import Final

from tame_router.errors import (
    AdapterNotLoadedError,
    BackendError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendSilentError,
    BackendUnavailableError,
    DeadlineExceededError,
    StreamBrokenError,
    TameError,
)


class FailureKind(enum.StrEnum):
    """How an answer failed on a replica."""

    UNREACHABLE = "unreachable"
    """Nothing listens there."""
    REFUSED = "refused"
    """It hung up before a word, or said 502, 503 or 504."""
    SILENT = "silent"
    """It took too long to the first token."""
    STALLED = "stalled"
    """It fell silent between tokens."""
    BROKEN = "broken"
    """The connection was reset, or the stream ended before the answer did."""
    FAILED = "failed"
    """It reported a failure of its own: 500, or an error in the stream."""
    MALFORMED = "malformed"
    """It sent what is not of the protocol."""
    BUSY = "busy"
    """It has too much work: 429."""
    NO_ADAPTER = "no_adapter"
    """It does not know the adapter revision."""
    KEY = "key"
    """It does not accept the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure that is the replica's: another may do better.

    Attributes:
        kind: What it was.
        counts: It counts against the replica.
        decisive: One such failure is enough to leave the replica alone.
    """

    kind: FailureKind
    counts: bool = True
    decisive: bool = False


_OF: Final[tuple[tuple[type[TameError], Failure], ...]] = (
    # The first that fits: leaves stand before what they are leaves of.
    (AdapterNotLoadedError, Failure(kind=FailureKind.NO_ADAPTER, counts=False)),
    (StreamBrokenError, Failure(kind=FailureKind.BROKEN)),
    (BackendSilentError, Failure(kind=FailureKind.SILENT)),
    (BackendUnavailableError, Failure(kind=FailureKind.REFUSED)),
    (BackendOverloadedError, Failure(kind=FailureKind.BUSY, counts=False)),
    (BackendRefusedKeyError, Failure(kind=FailureKind.KEY, decisive=True)),
    (BackendProtocolError, Failure(kind=FailureKind.MALFORMED)),
    (BackendFailedError, Failure(kind=FailureKind.FAILED)),
)
_STALLED: Final = Failure(kind=FailureKind.STALLED)
_UNREACHABLE: Final = Failure(kind=FailureKind.UNREACHABLE, decisive=True)
_NOBODY: Final = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})


def failure_of(error: TameError, *, begun: bool) -> Failure | None:
    """Classify an error.

    Args:
        error: What entering or reading a stream raised.
        begun: Words had arrived before.

    Returns:
        None: another replica would do no better; the request is at fault, or its time is up, the
        caller's or what the join of several experts gives each.
    """
    if not isinstance(error, BackendError) or isinstance(error, DeadlineExceededError):
        return None
    if isinstance(error, BackendSilentError) and error.impatient:
        return None
    if begun and isinstance(error, BackendSilentError):
        return _STALLED
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in _NOBODY:
        return _UNREACHABLE
    return next((failure for kind, failure in _OF if isinstance(error, kind)), None)
