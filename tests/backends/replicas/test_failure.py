"""What an error says about a replica."""

import errno

import pytest

from tame_router.backends.replicas.failure import FailureKind, failure_of
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendSilentError,
    BackendUnavailableError,
    ContextTooLongError,
    DeadlineExceededError,
    InvalidRequestError,
    StreamBrokenError,
    TameError,
)


@pytest.mark.parametrize(
    ("error", "kind", "counts", "decisive"),
    [
        (BackendUnavailableError("no"), FailureKind.REFUSED, True, False),
        (BackendSilentError("no"), FailureKind.SILENT, True, False),
        (StreamBrokenError("no"), FailureKind.BROKEN, True, False),
        (BackendFailedError("no"), FailureKind.FAILED, True, False),
        (BackendProtocolError("no"), FailureKind.MALFORMED, True, False),
        (BackendRefusedKeyError("no"), FailureKind.KEY, True, True),
        (BackendOverloadedError("no"), FailureKind.BUSY, False, False),
        (AdapterNotLoadedError("no"), FailureKind.NO_ADAPTER, False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, TameError) else str(value),
)
def test_what_another_replica_may_do_better(
    error: TameError, kind: FailureKind, counts: bool, decisive: bool
) -> None:
    """Each failure has its kind, and says whether the replica is to blame."""
    failure = failure_of(error, begun=False)
    assert failure is not None
    assert (failure.kind, failure.counts, failure.decisive) == (kind, counts, decisive)


def test_one_refused_connection_is_enough() -> None:
    """Where nothing listens nothing is asked again; a server that hangs up gets more tries."""
    error = BackendUnavailableError("no")
    error.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    failure = failure_of(error, begun=False)
    assert failure is not None
    assert (failure.kind, failure.decisive) == (FailureKind.UNREACHABLE, True)


def test_silence_in_the_middle_is_a_stall() -> None:
    """The same error means another thing once words have come."""
    failure = failure_of(BackendSilentError("no"), begun=True)
    assert failure is not None
    assert failure.kind is FailureKind.STALLED


@pytest.mark.parametrize(
    "error", [InvalidRequestError("no"), ContextTooLongError("no"), DeadlineExceededError("no")]
)
def test_what_no_replica_does_better(error: TameError) -> None:
    """A request at fault, or out of time, is not asked again."""
    assert failure_of(error, begun=False) is None
