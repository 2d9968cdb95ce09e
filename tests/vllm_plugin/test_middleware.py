"""The doors that the engine keeps closed."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from tame_router.backends.openai.http_client import HttpClient
from tame_router.vllm_plugin.middleware import ClosedLoraRoutes, closed
from tests.fakes.uvicorn_thread import UvicornThread

pytestmark = pytest.mark.anyio

DOORS = [
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/v1/load_lora_adapter/",
    "/v1/load_lora_adapter//",
    "//v1//load_lora_adapter",
    "/v1/../v1/load_lora_adapter",
    "/v1/load_lora_adapter;x=1",
    "/v1/Load_LoRA_Adapter",
    "/v1/load%5Flora%5fadapter",
    "/v1/%6Coad_lora_adapter",
    "/v1/load%255Flora_adapter",
    "/v1/unload_lora_adapter%2F",
    "/v1/load_lora_adapter%00",
    "/v1%2Fload_lora_adapter",
    "/v1\\load_lora_adapter",
    "/proxy/v1/load_lora_adapter",
    "/adapters",
    "/adapters/",
    "/adapters/legal",
    "/%61dapters/legal",
    "/adapters;a=b/legal",
]
OPEN = [
    "/health",
    "/v1/models",
    "/v1/chat/completions",
    "/v1/adapters_of_mine",
    "/metrics",
    "/tokenize",
    "/v1/load",
]


@pytest.mark.parametrize("path", DOORS)
def test_closed(path: str) -> None:
    """However it is written, a path to those routes is known."""
    assert closed(path)


@pytest.mark.parametrize("path", OPEN)
def test_open(path: str) -> None:
    """What callers need is not closed with it."""
    assert not closed(path)


async def _reached(request: Request) -> Response:
    return PlainTextResponse("reached")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Give a real server with those routes behind the middleware, by whatever method."""
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    routes = [
        Route("/v1/load_lora_adapter", _reached, methods=methods),
        Route("/v1/unload_lora_adapter", _reached, methods=methods),
        Route("/adapters/{name}", _reached, methods=methods),
        Route("/v1/models", _reached),
    ]
    app = Starlette(routes=[Mount("/proxy", routes=routes), *routes])
    app.add_middleware(ClosedLoraRoutes)
    with UvicornThread(app, 0) as thread:
        yield f"http://127.0.0.1:{thread.port}"


@pytest.fixture
async def http(server: str) -> AsyncIterator[HttpClient]:
    """Give a client of it."""
    http = HttpClient(base_url=server, api_key="", connect_timeout_s=5, max_connections=4)
    yield http
    await http.close()


async def test_over_a_real_server(http: HttpClient) -> None:
    """Both are refused with a body like vLLM's own, and the rest goes through."""
    for path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/adapters/legal"):
        for answer in (await http.post(path, b'{"lora_name": "x"}'), await http.get(path)):
            body = json.loads(await answer.read_all(2**16))
            assert answer.status == 403
            assert body["error"]["code"] == 403
            assert "tame adapter" in body["error"]["message"]
    answer = await http.get("/v1/models")
    assert (answer.status, await answer.read_all(100)) == (200, b"reached")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_every_method(method: str) -> None:
    """The method does not matter, nor a root path before it."""
    scope = {"type": "http", "method": method, "path": "/load_lora_adapter", "root_path": "/v1"}
    assert await _statuses(scope) == [403]


async def test_raw_paths_count_too() -> None:
    """A server that decodes less than another is not a way around."""
    scope = {"type": "http", "path": "/x", "raw_path": b"/v1/%2575nload_lora_adapter"}
    assert await _statuses(scope) == [403]


async def test_sockets_are_closed_and_the_lifespan_passes() -> None:
    """A web socket there is refused as such; start and stop of the server go through."""
    assert await _statuses({"type": "websocket", "path": "/v1/load_lora_adapter"}) == [1008]
    assert await _statuses({"type": "lifespan"}) == [0]


async def _statuses(scope: dict[str, Any]) -> list[int]:
    """Send one request by ASGI, and give what came of it; 0: it went through."""
    said: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        said.append(0)

    async def send(message: Any) -> None:
        said.extend(message[key] for key in ("status", "code") if key in message)

    async def receive() -> Any:
        raise AssertionError("nothing is read of what is refused")

    await ClosedLoraRoutes(app)(scope, receive, send)
    return said
