"""Turn gRPC statuses back into the errors the server raised."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from tame_router.canonical_code import Code
from tame_router.errors import DOMAIN, DeadlineExceededError, TameError
from tame_router.errors_registry import RegistryError

DETAILS_KEY = "grpc-status-details-bin"


def _below(root: type[TameError]) -> Iterator[type[TameError]]:
    yield root
    for leaf in root.__subclasses__():
        yield from _below(leaf)


_LEAVES = (*_below(TameError), *_below(RegistryError))  # the latter's module is loaded with it
_BY_REASON = {leaf.reason: leaf for leaf in _LEAVES if "reason" in vars(leaf)}


class RpcError(TameError):
    """A call failed with a status that carries no reason, or one that this SDK does not know.

    Attributes:
        code: The status code; here of the instance, not of the class.
        reason: The reason sent, `RPC_FAILED` where there was none; of the instance too.
    """

    reason = "RPC_FAILED"

    def __init__(
        self,
        message: str,
        code: Code,
        *,
        reason: str = reason,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, metadata=metadata)
        self.code = code  # type: ignore[misc]  # the one error of which they are not known ahead
        self.reason = reason  # type: ignore[misc]


def read_error(error: grpc.RpcError) -> TameError:
    """Rebuild the error behind a failed call.

    The class follows from the reason, so `except BackendUnavailableError` works on both
    sides of the wire. Whether a deadline is noticed here or there is chance: it is a
    `DeadlineExceededError` either way.
    """
    # Both the synchronous and the asyncio error have these; the stubs' base class does not.
    call: Any = error
    metadata: Iterable[tuple[str, str | bytes]] = call.trailing_metadata() or ()
    packed = next((value for key, value in metadata if key == DETAILS_KEY), b"")
    code = Code(call.code().value[0])
    details = str(call.details() or code.name)
    info, retry_after_s = _read_details(packed if isinstance(packed, bytes) else b"")
    if info is None:
        return _foreign(details, code)
    kind, facts = _BY_REASON.get(info.reason), dict(info.metadata)
    rebuilt = (
        kind(details, metadata=facts)
        if kind
        else RpcError(details, code, reason=info.reason, metadata=facts)
    )
    rebuilt.retry_after_s = retry_after_s
    return rebuilt


def _foreign(details: str, code: Code) -> TameError:
    """Describe a failure that the router's own code did not report."""
    if code is Code.DEADLINE_EXCEEDED:
        return DeadlineExceededError(
            "the deadline passed before the answer was finished; allow more time, or ask for"
            " fewer tokens"
        )
    if code is Code.UNAVAILABLE:
        return RpcError(
            f"the router cannot be reached ({details}); check its address, and that it runs", code
        )
    return RpcError(f"the call failed with {code.name}: {details}", code)


def _read_details(packed: bytes) -> tuple[error_details_pb2.ErrorInfo | None, float | None]:
    info: error_details_pb2.ErrorInfo | None = None
    retry_after_s: float | None = None
    try:
        details = status_pb2.Status.FromString(packed).details
    except DecodeError:
        return None, None
    for detail in details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            found = error_details_pb2.ErrorInfo.FromString(detail.value)
            info = found if found.domain == DOMAIN else info
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after_s = delay.ToTimedelta().total_seconds()
    return info, retry_after_s


@contextmanager
def rebuilt_errors() -> Iterator[None]:
    """Raise a failed call's error as the class the server raised."""
    try:
        yield
    except grpc.RpcError as error:
        raise read_error(error) from error
