"""Turn our errors into gRPC statuses with `google.rpc` details."""

import datetime
from collections.abc import Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from tame_router.canonical_code import Code
from tame_router.errors import DOMAIN, InvalidRequestError, TameError

DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata key of the rich status. Source: gRPC's error handling guide."""

MAX_MESSAGE_BYTES = 1_000
"""Keeps the status inside the 8 KiB of headers that peers accept by default: the message stands
in it up to three times, once in base64 and once with three characters for each byte."""

STATUS_CODES: Mapping[Code, grpc.StatusCode] = {
    Code(status.value[0]): status for status in grpc.StatusCode
}


def rich_status(error: TameError, request_id: str) -> status_pb2.Status:
    """Describe an error.

    Args:
        error: What went wrong.
        request_id: Added to the facts, so that a caller can name the call to the operator.
    """
    message = error.message.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES].decode(errors="ignore")
    status = status_pb2.Status(code=int(error.code), message=message)
    info = error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata={**error.metadata, "request_id": request_id},
    )
    status.details.add().Pack(info)
    if isinstance(error, InvalidRequestError) and error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=status.message
        )
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromTimedelta(datetime.timedelta(seconds=error.retry_after_s))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status
