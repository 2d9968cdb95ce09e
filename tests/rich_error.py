"""A failed call as the wire tells it, read without the SDK's help."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class RichError:
    """A status and its details.

    Attributes:
        code: Name of the status code.
        message: Its words.
        info: `google.rpc.ErrorInfo`; None: there was none.
        fields: Fields that `google.rpc.BadRequest` names.
        retry_s: What `google.rpc.RetryInfo` says; None: there was none.
        request_id: Of the trailing metadata.
    """

    code: str
    message: str
    info: Any
    fields: tuple[str, ...]
    retry_s: float | None
    request_id: str


def rich(error: grpc.RpcError) -> RichError:
    """Read a failed call of either kind of channel."""
    call: Any = error
    trailing = dict(call.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailing.get("grpc-status-details-bin", b""))
    info, fields, retry_s = None, (), None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            faults = error_details_pb2.BadRequest.FromString(detail.value)
            fields = tuple(fault.field for fault in faults.field_violations)
            assert all(fault.description == call.details() for fault in faults.field_violations)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_s = delay.ToTimedelta().total_seconds()
    if info is not None:
        assert status.code == call.code().value[0]
        assert status.message == call.details()
    return RichError(
        code=call.code().name,
        message=call.details() or "",
        info=info,
        fields=fields,
        retry_s=retry_s,
        request_id=str(trailing.get("x-request-id", "")),
    )
