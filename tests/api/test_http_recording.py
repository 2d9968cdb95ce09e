"""HTTP requests are recorded under the paths that are served, whatever is asked for."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from tame_router.api.http_recording import HttpRecording
from tame_router.errors import UnauthenticatedError
from tame_router.telemetry import instrument
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.recorder import Recorder
from tame_router.telemetry.recording import current
from tests.telemetry.facts import Decided

pytestmark = pytest.mark.anyio

PATHS = ("/v1/chat/completions", "/v1/models", "/v1/models/{model}")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def edge(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve as an edge would: note what happens in the current recording."""
    path = scope.get("path", "")
    if path == "/v1/chat/completions":
        current().asked("id-1")
        current().decided(Decided())
        await send({"type": "trace", "headers": dict(current().trace)})
    elif path == "/v1/models":
        current().failed(UnauthenticatedError("no"))
    elif path == "/v1/models/slow":
        raise asyncio.CancelledError
    else:
        await send({"type": "served"})


async def ask(recorder: Recorder, path: str, kind: str = "http") -> list[Message]:
    """Ask for a path, with the context of a trace, and give what was sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = HttpRecording(edge, recorder, PATHS)
    headers = [(b"host", b"x"), (b"traceparent", PARENT.encode())]
    await app({"type": kind, "path": path, "headers": headers}, receive, send)
    return sent


async def test_requests_are_counted_by_path_and_end() -> None:
    """A path with a name in it counts as one; what is not served is `other`."""
    metrics = Metrics()
    recorder = Recorder(metrics)
    assert await ask(recorder, PATHS[0]) == [{"type": "trace", "headers": {"traceparent": PARENT}}]
    await ask(recorder, "/v1/models")
    await ask(recorder, "/v1/models/legal")
    await ask(recorder, "/v1/models/medical")
    with pytest.raises(asyncio.CancelledError):
        await ask(recorder, "/v1/models/slow")
    for number in range(100):
        await ask(recorder, f"/wp-admin/{number}")
    (series,) = [found for known, found in metrics.read() if known is instrument.CALLS]
    counted = {(one.labels["method"], one.labels["outcome"]): one.value for one in series}
    assert counted == {
        ("/v1/chat/completions", "ok"): 1,
        ("/v1/models", "UNAUTHENTICATED"): 1,
        ("/v1/models/{model}", "ok"): 2,
        ("/v1/models/{model}", "cancelled"): 1,
        ("other", "ok"): 100,
    }


async def test_what_is_no_request_passes_through() -> None:
    """The server's own messages are not calls."""
    metrics = Metrics()
    assert await ask(Recorder(metrics), "", kind="lifespan") == [{"type": "served"}]
    assert b"tame_calls_total{" not in metrics.render("")[0]
