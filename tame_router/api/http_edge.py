"""What every HTTP request passes through: an id, an error mapping, a log line.

Errors nobody expected end here; no stack trace reaches a caller.
"""

import asyncio
import logging
import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from tame_router.admission.reception import Reception
from tame_router.api.http_body import CallerGoneError
from tame_router.api.http_call import HttpCall
from tame_router.api.http_refusal import HttpRefusalError
from tame_router.api.openai_error import error_body, error_headers, status_of
from tame_router.api.told_error import crashed, for_callers, timed_out
from tame_router.config_access import HttpSettings
from tame_router.errors import BackendUnavailableError, TameError
from tame_router.telemetry import log
from tame_router.telemetry.recording import current

CALL = "tame.call"
"""Key of the call in the ASGI scope."""


class HttpEdge:
    """Wraps the routes.

    Args:
        routes: Finds the endpoint of a path; raises `HTTPException` where there is none.
        reception: Finds out who calls.
        settings: Limits of the port.
    """

    def __init__(self, routes: ASGIApp, reception: Reception, settings: HttpSettings) -> None:
        self._routes = routes
        self._reception = reception
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        call = HttpCall(scope, receive, send, self._settings, self._reception)
        scope["app"] = self  # the routes then raise what they cannot serve
        scope[CALL] = call
        begun = time.perf_counter()
        try:
            await self._routes(scope, receive, send)
        except CallerGoneError:
            current().cancelled()
            _log(logging.INFO, "call.cancelled", call, begun)
        except asyncio.CancelledError:
            if call.gone or call.complete:
                current().cancelled()
                _log(logging.INFO, "call.cancelled", call, begun)
            else:
                # Nobody waits for this task: what is left of it is to say why it ended.
                await _fail(call, _cut(), begun)
        except HTTPException as raised:
            await _fail(call, _refusal(call, raised), begun)
        except TameError as error:
            await _fail(call, error, begun)
        except TimeoutError:
            await _fail(call, timed_out(), begun)
        except Exception:
            log.LOGGER.exception("call.crashed", extra={"facts": call.facts})
            await _fail(call, crashed(), begun)


def _cut() -> TameError:
    """Give what a caller is told whose answer was cut."""
    return BackendUnavailableError(
        "the service is stopping, and the answer did not end within its grace; ask again",
        retry_after_s=1,
    )


async def _fail(call: HttpCall, error: TameError, begun: float) -> None:
    """Log an error, and tell it: as a status, or as the last event of a stream that has begun."""
    call.when_gone(None)
    current().failed(error)
    _log(logging.WARNING, "call.failed", call, begun, error)
    if call.complete:
        return
    told = for_callers(error)
    body = error_body(told)
    if call.started:
        await call.end_stream(b"data: " + body + b"\n\n")
        return
    await call.respond(status_of(told), body, headers=error_headers(told))


def _refusal(call: HttpCall, raised: HTTPException) -> TameError:
    if raised.status_code == 405:
        allowed = (raised.headers or {}).get("Allow", "")
        return HttpRefusalError(
            f"{call.label} is not served; use {allowed}",
            status=405,
            word="method_not_allowed",
            headers={"allow": allowed},
        )
    return HttpRefusalError(
        f"there is nothing at {call.path[:80]!r}; GET /openapi.json tells what there is",
        status=404,
        word="unknown_url",
    )


def _log(
    level: int, name: str, call: HttpCall, begun: float, error: TameError | None = None
) -> None:
    facts = dict(call.facts)
    if error:
        facts |= {"code": error.code.name, "reason": error.reason, "message": error.message}
        # Whose tenant an error is about does not stand in place of who calls.
        facts |= {name: fact for name, fact in error.metadata.items() if name not in facts}
    log.event(level, name, **facts, elapsed_ms=round((time.perf_counter() - begun) * 1e3, 1))
