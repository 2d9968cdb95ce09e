"""Each endpoint of a vLLM server is read, or its failure told."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.vllm import server as vllm_server
from tame_router.backends.vllm.server import VllmServer
from tame_router.errors import (
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendSilentError,
)
from tests.fakes.generations import REVISION, as_json, generation
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_wire import count_tokens

pytestmark = pytest.mark.anyio

ASKED = generation()


class Never(Response):
    """A response that does not come."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait until the client leaves."""
        await Request(scope, receive).body()
        await asyncio.Event().wait()


@pytest.fixture
async def server(fake_vllm: FakeVllm) -> AsyncIterator[VllmServer]:
    """Give a server to ask."""
    http = HttpClient(
        base_url=fake_vllm.base_url, api_key="", connect_timeout_s=5, max_connections=4
    )
    yield VllmServer(http)
    await http.close()


async def test_prompt_is_measured(server: VllmServer, fake_vllm: FakeVllm) -> None:
    """The server's count and context must be told, for the model asked about."""
    window = await server.measure(REVISION, ASKED)
    assert window is not None
    assert window.prompt_tokens == count_tokens(as_json(generation()))
    assert window.context_tokens == 2048
    assert fake_vllm.received[0].body["model"] == REVISION


async def test_server_that_cannot_count_is_no_error(
    server: VllmServer, fake_vllm: FakeVllm
) -> None:
    """A server without `/tokenize` must be known as one that cannot tell."""
    fake_vllm.answer_plainly("/tokenize", JSONResponse({"detail": "Not Found"}, 404))
    assert await server.measure(REVISION, ASKED) is None


async def test_other_counts_are_off_protocol(server: VllmServer, fake_vllm: FakeVllm) -> None:
    """An answer of another shape must be told by its path."""
    fake_vllm.answer_plainly("/tokenize", JSONResponse({"tokens": []}))
    with pytest.raises(BackendProtocolError, match="/tokenize"):
        await server.measure(REVISION, ASKED)


@pytest.mark.parametrize("name", [BASE_MODEL, "", "another name", REVISION])
async def test_base_model_is_found(server: VllmServer, name: str) -> None:
    """The base model must be found by its name, else be the first that is no adapter."""
    card = await server.base_card(name)
    assert (card.id, card.max_model_len) == (BASE_MODEL, 2048)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (JSONResponse({"data": []}), "no base model"),
        (JSONResponse({"data": [{"id": "a", "parent": "b"}]}), "no base model"),
        (PlainTextResponse("<html>"), "not what vLLM sends"),
        (PlainTextResponse("moved", 302), "302"),
    ],
)
async def test_other_lists_are_off_protocol(
    server: VllmServer, fake_vllm: FakeVllm, response: Response, words: str
) -> None:
    """A list without a base model, and no list at all, must be told."""
    fake_vllm.answer_plainly("/v1/models", response)
    with pytest.raises(BackendProtocolError, match=words):
        await server.base_card("")


async def test_refused_key_is_told(server: VllmServer, fake_vllm: FakeVllm) -> None:
    """A list that needs another key must say so."""
    fake_vllm.api_key = "secret"
    with pytest.raises(BackendRefusedKeyError):
        await server.base_card("")


async def test_silent_list_is_given_up(
    server: VllmServer, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not list its models in time must be silent, not waited for."""
    monkeypatch.setattr(vllm_server, "MODELS_TIMEOUT_S", 0.1)
    fake_vllm.answer_plainly("/v1/models", Never())
    with pytest.raises(BackendSilentError):
        await server.base_card("")


async def test_health(
    server: VllmServer, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only 200 in a short time must count as healthy."""
    assert await server.healthy()
    fake_vllm.answer_plainly("/health", Response(status_code=503))
    assert not await server.healthy()
    monkeypatch.setattr(vllm_server, "HEALTH_TIMEOUT_S", 0.1)
    fake_vllm.answer_plainly("/health", Never())
    assert not await server.healthy()
