"""Turn gRPC statuses back into the errors the server raised."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from tame_router.errors import DOMAIN, Code, TameError

DETAILS_KEY = "grpc-status-details-bin"


class RpcError(TameError):
    """A call failed with a status that carries no reason of this service.

    Attributes:
        code: The status code; here of the instance, not of the class.
    """

    reason = "RPC_FAILED"

    def __init__(self, message: str, code: Code) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # the one error whose code is not known ahead


def _leaves(root: type[TameError]) -> Iterator[type[TameError]]:
    yield root
    for below in root.__subclasses__():
        yield from _leaves(below)


def read_error(error: grpc.RpcError) -> TameError:
    """Rebuild the error behind a failed call.

    The class follows from the reason, so `except BackendUnavailableError` works on both
    sides of the wire.
    """
    # Both the synchronous and the asyncio error have these; the stubs' base class does not.
    call: Any = error
    metadata: Iterable[tuple[str, str | bytes]] = call.trailing_metadata() or ()
    packed = next((value for key, value in metadata if key == DETAILS_KEY), b"")
    code = Code(call.code().value[0])
    details = call.details() or f"the call failed with {code.name}"
    info, retry_after_s = _read_details(packed if isinstance(packed, bytes) else b"")
    if info is None:
        return RpcError(details, code)
    facts = dict(info.metadata)
    kind = next((leaf for leaf in _leaves(TameError) if _names(leaf, info.reason)), TameError)
    rebuilt = kind(details, metadata=facts)
    rebuilt.retry_after_s = retry_after_s
    return rebuilt


def _names(leaf: type[TameError], reason: str) -> bool:
    return "reason" in vars(leaf) and leaf.reason == reason


def _read_details(packed: bytes) -> tuple[error_details_pb2.ErrorInfo | None, float | None]:
    info: error_details_pb2.ErrorInfo | None = None
    retry_after_s: float | None = None
    for detail in status_pb2.Status.FromString(packed).details:
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
