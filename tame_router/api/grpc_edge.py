"""What every call of our services passes through: an id, who calls, an error mapping, a log line.

Bytes that are not the request's message, and errors nobody expected, end here; no
stack trace reaches a caller.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.message import DecodeError

from tame_router.admission.caller import Caller
from tame_router.admission.reception import Reception
from tame_router.api.grpc_credentials import read_credentials
from tame_router.api.grpc_status import DETAILS_KEY, STATUS_CODES, rich_status
from tame_router.api.reflection_guard import METHODS as REFLECTION_METHODS
from tame_router.api.reflection_guard import guarded_reflection
from tame_router.api.request_id import REQUEST_ID_KEY, CallIds, choose_ids
from tame_router.api.told_error import crashed, for_callers, timed_out
from tame_router.errors import InvalidRequestError, TameError
from tame_router.telemetry import log
from tame_router.telemetry.recorder import Recorder
from tame_router.telemetry.recording import current
from tame_router.telemetry.trace import read_carrier

_OWN_METHODS = "/tame_router.v1."

if TYPE_CHECKING:  # generic in the stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    Handler = grpc.RpcMethodHandler
    Context = grpc.aio.ServicerContext
Method = Callable[[Any, Context], Awaitable[Any]]

CALLER_GONE = (grpc.aio.InternalError, grpc.aio.UsageError)
"""What writing to a call raises in the moment between its end and the news of it."""

_CALL_IDS: ContextVar[CallIds] = ContextVar("call_ids")
_CALLER: ContextVar[Caller] = ContextVar("caller")


class _Unreadable:
    """Stands for a request that could not be parsed, until the call can be answered."""


def call_ids() -> CallIds:
    """Give the ids of the call that is being served."""
    return _CALL_IDS.get()


def caller() -> Caller:
    """Give who makes the call that is being served."""
    return _CALLER.get()


def _name(context: Context) -> CallIds:
    """Name a call, by the caller's `x-request-id` where that is well formed."""
    metadata = context.invocation_metadata() or ()
    return choose_ids(
        [value for key, value in metadata if key == REQUEST_ID_KEY and isinstance(value, str)]
    )


def deadline(context: Context) -> float | None:
    """Give the call's deadline on the running loop's clock, in seconds; None: there is none."""
    remaining = context.time_remaining()
    if remaining is None:
        return None
    return asyncio.get_running_loop().time() + float(remaining)


class EdgeInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of our services and reflection; health passes through.

    Args:
        reception: Finds out who calls.
        recorder: Records calls; None: one that nobody reads.
    """

    def __init__(self, reception: Reception, recorder: Recorder | None = None) -> None:
        self._reception = reception
        self._recorder = recorder or Recorder()
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Give the handler of a method, wrapped where it is ours."""
        method = handler_call_details.method
        if wrapped := self._wrapped.get(method):
            return wrapped  # ours, of which there are a few: made once
        handler = await continuation(handler_call_details)
        if handler is None:
            self._recorder.unknown("grpc")
            return None
        if method.startswith(REFLECTION_METHODS):
            return guarded_reflection(handler, self._reception)
        if not method.startswith(_OWN_METHODS):
            return handler
        make, inner = _shape(handler)
        name = method.rsplit("/", 1)[-1]
        readable = _Readable if handler.request_streaming else _readable
        wrapped = self._wrapped[method] = make(
            _recorded(name, _guard(name, inner, readable, self._reception), self._recorder),
            request_deserializer=_lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )
        return wrapped


def _shape(handler: Handler) -> tuple[Callable[..., Handler], Any]:
    """Tell what makes a handler of the same call shape, and give what it handles with."""
    match handler.request_streaming, handler.response_streaming:
        case False, False:
            return grpc.unary_unary_rpc_method_handler, handler.unary_unary
        case False, True:
            return grpc.unary_stream_rpc_method_handler, handler.unary_stream
        case True, False:
            return grpc.stream_unary_rpc_method_handler, handler.stream_unary
        case _:
            return grpc.stream_stream_rpc_method_handler, handler.stream_stream


def _recorded(method: str, inner: Method, recorder: Recorder) -> Method:
    async def recorded(request: Any, context: Context) -> Any:
        carrier = read_carrier(context.invocation_metadata() or ())
        recording = recorder.begin("grpc", method, carrier)
        try:
            return await inner(request, context)
        except asyncio.CancelledError:
            recording.cancelled()
            raise
        finally:
            recorder.finish(recording)

    return recorded


def _guard(method: str, inner: Any, readable: Callable[[Any], Any], reception: Reception) -> Method:
    async def guarded(request: Any, context: Context) -> Any:
        ids = _name(context)
        _CALL_IDS.set(ids)
        begun = time.perf_counter()
        known: Caller | None = None
        error: TameError
        try:
            known = await reception.receive(read_credentials(context))
            current().identified(known.tenant.name)
            _CALLER.set(known)
            return await inner(readable(request), context)
        except asyncio.CancelledError:
            _log(logging.INFO, "call.cancelled", _facts(method, ids, known), begun)
            raise
        except CALLER_GONE as gone:
            _log(logging.INFO, "call.cancelled", _facts(method, ids, known), begun)
            raise asyncio.CancelledError from gone
        except TameError as raised:
            error = raised
        except TimeoutError:
            error = timed_out()
        except Exception:
            log.LOGGER.exception("call.crashed", extra={"facts": _facts(method, ids, known)})
            error = crashed()
        current().failed(error)
        _log(logging.WARNING, "call.failed", _facts(method, ids, known), begun, error)
        told = for_callers(error)
        status = rich_status(told, ids.request_id)
        trailing = ((DETAILS_KEY, status.SerializeToString()), (REQUEST_ID_KEY, ids.request_id))
        try:
            return await context.abort(STATUS_CODES[told.code], status.message, trailing)
        except CALLER_GONE as gone:
            raise asyncio.CancelledError from gone

    return guarded


def _readable(request: Any) -> Any:
    if isinstance(request, _Unreadable):
        raise InvalidRequestError(
            "the request is not a valid protobuf message of this method;"
            " text fields must be valid UTF-8"
        )
    return request


class _Readable:
    """A stream of requests; iterating it raises at one that is not readable.

    Args:
        requests: As they come.
    """

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = requests

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return _readable(await anext(self._requests))


def _lenient(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Make a deserializer that never raises: grpc would answer INTERNAL without a reason."""

    def deserialize(data: bytes) -> Any:
        try:
            return deserializer(data) if deserializer else data
        except (DecodeError, UnicodeDecodeError):
            return _Unreadable()

    return deserialize


def _facts(method: str, ids: CallIds, known: Caller | None) -> dict[str, str]:
    """Tell which call it is, and who makes it where that is known, for the log."""
    facts = {"method": method, "request_id": ids.request_id, "answer_id": ids.answer_id}
    return facts | known.facts if known else facts


def _log(
    level: int, name: str, facts: dict[str, str], begun: float, error: TameError | None = None
) -> None:
    if error:
        facts |= {"code": error.code.name, "reason": error.reason, "message": error.message}
        # Whose tenant an error is about does not stand in place of who calls.
        facts |= {name: fact for name, fact in error.metadata.items() if name not in facts}
    elapsed_ms = round((time.perf_counter() - begun) * 1e3, 1)
    log.event(level, name, **facts, elapsed_ms=elapsed_ms)
