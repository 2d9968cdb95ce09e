"""Our errors in OpenAI's form: status, headers and body."""

import math

import msgspec

from tame_router.admission.model import MODEL_FACT
from tame_router.api.http_refusal import HttpRefusalError
from tame_router.canonical_code import Code
from tame_router.errors import ConfigError, InvalidRequestError, TameError

STATUSES: dict[Code, int] = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
"""The HTTP status of each canonical code.

Source: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_exceeded",
}
_WORDS = {"CONTEXT_TOO_LONG": "context_length_exceeded"}
"""Codes that programs written for OpenAI look for; all others are our own reasons."""

_ENCODE = msgspec.json.Encoder().encode


def status_of(error: TameError) -> int:
    """Give the HTTP status of an error."""
    if isinstance(error, HttpRefusalError):
        return error.status
    # What the operator set wrongly is a fault of the service, whatever gRPC calls it.
    return 500 if isinstance(error, ConfigError) else STATUSES[error.code]


def error_body(error: TameError) -> bytes:
    """Write an error as OpenAI does: message, type, param, code."""
    status = status_of(error)
    default = "invalid_request_error" if status < 500 else "server_error"
    param = _param(error.field) if isinstance(error, InvalidRequestError) else ""
    word = _WORDS.get(error.reason, error.reason)
    if isinstance(error, HttpRefusalError):
        word = error.word
    elif MODEL_FACT in error.metadata:
        word, param = "model_not_found", "model"
    document = {
        "message": error.message.encode("utf-8", "replace").decode(),
        "type": _TYPES.get(status, default),
        "param": param.encode("utf-8", "replace").decode() or None,
        "code": word,
    }
    return _ENCODE({"error": document})


def _param(field: str) -> str:
    """Name a field as callers of this API know it, where it was found wrong further in."""
    for ours, theirs in (("constraints.", "tame."), ("sampling.", "")):
        if field.startswith(ours):
            return theirs + field.removeprefix(ours)
    return field


def error_headers(error: TameError) -> dict[str, str]:
    """Give the headers that tell when to come back, or how to show who one is."""
    headers: dict[str, str] = {}
    if isinstance(error, HttpRefusalError):
        headers.update(error.headers)
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after_s * 1e3))
    if error.code is Code.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    return headers
