"""Reflection is for those who may call: it tells what there is."""

import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc

from tame_router.admission.reception import Reception
from tame_router.api.grpc_credentials import read_credentials
from tame_router.api.grpc_status import DETAILS_KEY, STATUS_CODES, rich_status
from tame_router.errors import TameError

METHODS = "/grpc.reflection."
"""Begins the names of all methods of reflection."""

if TYPE_CHECKING:  # generic in the stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    Handler = grpc.RpcMethodHandler
    Context = grpc.aio.ServicerContext


def guarded_reflection(handler: Handler, reception: Reception) -> Handler:
    """Give the handler of a method of reflection, behind the reception."""
    inner: Any = handler.stream_stream

    async def guarded(requests: AsyncIterator[Any], context: Context) -> None:
        try:
            await reception.receive(read_credentials(context))
        except TameError as error:
            status = rich_status(error, uuid.uuid4().hex)
            trailing = ((DETAILS_KEY, status.SerializeToString()),)
            await context.abort(STATUS_CODES[error.code], status.message, trailing)
        async for reply in inner(requests, context):
            await context.write(reply)

    return grpc.stream_stream_rpc_method_handler(
        guarded,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
