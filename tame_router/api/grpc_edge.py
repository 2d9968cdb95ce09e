"""What every call of our own services passes through: a request id, an error mapping, a log line.

Bytes that are not the request's message, and errors nobody expected, end here; no
stack trace reaches a caller.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError

from tame_router import telemetry
from tame_router.api.grpc_status import DETAILS_KEY, STATUS_CODES, rich_status
from tame_router.errors import (
    ConfigError,
    DeadlineExceededError,
    InvalidRequestError,
    TameError,
)

REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_OWN_METHODS = "/tame_router.v1."

if TYPE_CHECKING:  # generic in the stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    Handler = grpc.RpcMethodHandler
    Context = grpc.aio.ServicerContext
Method = Callable[[Any, Context], Awaitable[Any]]

_CALLER_GONE = (grpc.aio.InternalError, grpc.aio.UsageError)
"""What writing to a call raises in the moment between its end and the news of it."""

_CALL_ID: ContextVar[str] = ContextVar("call_id")


class _Unreadable:
    """Stands for a request that could not be parsed, until the call can be answered."""


def request_id() -> str:
    """Give the id of the call that is being served."""
    return _CALL_ID.get()


def _new_request_id(context: Context) -> str:
    """Take the caller's `x-request-id` where it is well formed, make an id otherwise."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return uuid.uuid4().hex


def deadline(context: Context) -> float | None:
    """Give the call's deadline on the running loop's clock, in seconds; None: there is none."""
    remaining = context.time_remaining()
    if remaining is None:
        return None
    return asyncio.get_running_loop().time() + float(remaining)


class EdgeInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of our services; health and reflection pass through."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Give the handler of a method, wrapped where it is ours."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OWN_METHODS):
            return handler
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        inner = handler.unary_stream if handler.response_streaming else handler.unary_unary
        return make(
            _guard(method.rsplit("/", 1)[-1], inner),
            request_deserializer=_lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )


def _guard(method: str, inner: Any) -> Method:
    async def guarded(request: Any, context: Context) -> Any:
        call_id = _new_request_id(context)
        _CALL_ID.set(call_id)
        begun = time.perf_counter()
        error: TameError
        try:
            return await inner(_readable(request), context)
        except asyncio.CancelledError:
            _log(logging.INFO, "call.cancelled", method, call_id, begun)
            raise
        except _CALLER_GONE as gone:
            _log(logging.INFO, "call.cancelled", method, call_id, begun)
            raise asyncio.CancelledError from gone
        except TameError as raised:
            error = raised
        except TimeoutError:
            error = DeadlineExceededError("the deadline passed before the answer was finished")
        except Exception:
            telemetry.LOGGER.exception(
                "call.crashed", extra={"facts": {"method": method, "request_id": call_id}}
            )
            error = TameError(
                "an internal error; the operator finds it in the log by its request id"
            )
        _log(logging.WARNING, "call.failed", method, call_id, begun, error)
        told = _for_callers(error)
        status = rich_status(told, call_id)
        trailing = ((DETAILS_KEY, status.SerializeToString()), (REQUEST_ID_KEY, call_id))
        try:
            return await context.abort(STATUS_CODES[told.code], status.message, trailing)
        except _CALLER_GONE as gone:
            raise asyncio.CancelledError from gone

    return guarded


def _for_callers(error: TameError) -> TameError:
    """Give what a caller is told: what the operator set wrongly is none of theirs to mend."""
    if not isinstance(error, ConfigError):
        return error
    return type(error)(
        "a part of this service cannot be used as its operator has set it up;"
        " the operator finds which, and what to do, in the log by the request id",
        metadata=error.metadata,
        retry_after_s=error.retry_after_s,
    )


def _readable(request: Any) -> Any:
    if isinstance(request, _Unreadable):
        raise InvalidRequestError(
            "the request is not a valid protobuf message of this method;"
            " text fields must be valid UTF-8"
        )
    return request


def _lenient(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Make a deserializer that never raises: grpc would answer INTERNAL without a reason."""

    def deserialize(data: bytes) -> Any:
        try:
            return deserializer(data) if deserializer else data
        except (DecodeError, UnicodeDecodeError):
            return _Unreadable()

    return deserialize


def _log(
    level: int, name: str, method: str, call_id: str, begun: float, error: TameError | None = None
) -> None:
    facts = {"method": method, "request_id": call_id}
    if error:
        facts |= {"code": error.code.name, "reason": error.reason, "message": error.message}
        facts |= error.metadata
    elapsed_ms = round((time.perf_counter() - begun) * 1e3, 1)
    telemetry.event(level, name, **facts, elapsed_ms=elapsed_ms)
