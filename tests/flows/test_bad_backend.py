"""What a backend does wrong: the caller keeps what arrived, and learns what to do."""

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta
from tame_router.config import Settings
from tame_router.errors import TameError
from tests.fakes import vllm_wire as wire
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, Fault, HangUp, Raw, Refuse, Silence, Truncate
from tests.rich_error import RichError, rich
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS, prompt

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
KEY = "sk-canary-0123456789"
SECRETS = (LEGAL[:12], KEY, prompt("legal"))
OK_CHUNK = wire.event({"choices": [{"index": 0, "delta": {"content": "甲"}}]})
MIDDLE = len(OK_CHUNK) - 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How a fault reaches the caller."""

    code: str
    reason: str
    advice: str
    retry_s: float | None = None
    partial: bool = False


UNAVAILABLE = Expected(
    code="UNAVAILABLE", reason="BACKEND_UNAVAILABLE", advice="try again", retry_s=1
)
BROKEN = Expected(code="UNAVAILABLE", reason="STREAM_BROKEN", advice="try again", retry_s=1)
BROKEN_LATE = Expected(
    code="UNAVAILABLE", reason="STREAM_BROKEN", advice="try again", retry_s=1, partial=True
)
SILENT = Expected(code="UNAVAILABLE", reason="BACKEND_SILENT", advice="try again", retry_s=1)
STALLED = Expected(
    code="UNAVAILABLE", reason="BACKEND_SILENT", advice="stall_timeout_s", retry_s=1, partial=True
)
PROTOCOL = Expected(code="INTERNAL", reason="BACKEND_PROTOCOL", advice="expected|base_url")
PROTOCOL_LATE = Expected(
    code="INTERNAL", reason="BACKEND_PROTOCOL", advice="expected|base_url", partial=True
)
FAILED = Expected(code="INTERNAL", reason="BACKEND_FAILED", advice="log says why")

FAULTS: Mapping[str, tuple[Fault, Expected]] = {
    "400": (
        Refuse(status=400, body=wire.error_body(400, "temperature is too strange")),
        Expected(code="INVALID_ARGUMENT", reason="INVALID_REQUEST", advice="too strange"),
    ),
    "400 that quotes": (
        Refuse(status=400, body=wire.error_body(400, f"cannot read {LEGAL!r} {prompt('legal')}")),
        Expected(code="INVALID_ARGUMENT", reason="INVALID_REQUEST", advice="check messages"),
    ),
    "401": (
        Refuse(status=401),
        Expected(code="INTERNAL", reason="BACKEND_REFUSED_KEY", advice="set the right api_key"),
    ),
    "404": (
        Refuse(status=404, body=wire.error_body(404, "no such", "NotFoundError", "model")),
        Expected(code="UNAVAILABLE", reason="ADAPTER_NOT_LOADED", advice="load it", retry_s=1),
    ),
    "429": (
        Refuse(status=429, headers=(("Retry-After", "7"),)),
        Expected(
            code="RESOURCE_EXHAUSTED", reason="BACKEND_OVERLOADED", advice="in 7 s", retry_s=7
        ),
    ),
    "500": (Refuse(status=500, body=b'Traceback: /usr/lib/engine.py", line 1'), FAILED),
    "503": (Refuse(status=503), UNAVAILABLE),
    "hangs up": (HangUp(), UNAVAILABLE),
    "breaks before a word": (Cut(after_bytes=10), BROKEN),
    "breaks in the middle": (Cut(after_bytes=900), BROKEN_LATE),
    "ends too early": (Truncate(events=4), BROKEN_LATE),
    "cuts a character": (Raw(body=OK_CHUNK + OK_CHUNK[:MIDDLE]), BROKEN_LATE),
    "malformed JSON": (Raw(body=OK_CHUNK + b"data: {nope\n\n"), PROTOCOL_LATE),
    "no event stream": (Raw(body=b"<html>hello", content_type="text/html"), PROTOCOL),
    "error in the stream": (
        Raw(body=OK_CHUNK + wire.event(wire.error_document(500, "boom"))),
        Expected(code="INTERNAL", reason="BACKEND_FAILED", advice="log says why", partial=True),
    ),
    "no header": (Silence(events=None), SILENT),
    "no word": (Silence(events=1), SILENT),
    "comments only": (Silence(events=0, comment_s=0.02), SILENT),
    "falls silent": (Silence(events=3), STALLED),
}


@asynccontextmanager
async def asking(
    settings: Settings, fake: FakeVllm, expected: Expected
) -> AsyncIterator[AsyncClient]:
    """Give a client of a router that holds a key, and waits no longer than the fault needs."""
    fake.api_key = KEY
    hasty: dict[str, Any] = {"api_key": KEY}
    if expected is SILENT:
        hasty["first_token_timeout_s"] = 0.3
    if expected is STALLED:
        hasty["stall_timeout_s"] = 0.2
    async with (
        app.running(changed(settings, local=hasty)) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        yield client


def check(raised: TameError, expected: Expected) -> RichError:
    """Hold an error against what was expected, and against what every error must be."""
    assert isinstance(raised.__cause__, grpc.RpcError)
    error = rich(raised.__cause__)
    assert (error.code, error.info.reason) == (expected.code, expected.reason), error.message
    assert type(raised).reason == expected.reason
    assert error.info.domain == "tame-router"
    assert error.info.metadata["request_id"] == error.request_id != ""
    assert re.search(expected.advice, error.message), error.message
    assert error.retry_s == raised.retry_after_s == expected.retry_s
    assert not re.search(r"Traceback|\.py\b|/(tmp|work|home|root|usr)/", error.message)
    assert not [secret for secret in SECRETS if secret in error.message]
    return error


async def stream(client: AsyncClient, texts: list[str], **options: Any) -> None:
    """Ask, and put what arrives into a list."""
    async with client.stream(LEGAL, **options) as events:
        async for event in events:
            texts += [event.text] if isinstance(event, Delta) else []


@pytest.mark.parametrize("name", list(FAULTS))
async def test_a_stream_that_cannot_be_finished(
    settings: Settings, fake_vllm: FakeVllm, name: str
) -> None:
    """What had arrived is given, then the reason; the next question is answered."""
    fault, expected = FAULTS[name]
    fake_vllm.next(fault)
    texts: list[str] = []
    async with asking(settings, fake_vllm, expected) as client:
        with pytest.raises(TameError) as caught:
            await stream(client, texts)
        check(caught.value, expected)
        assert bool("".join(texts)) is expected.partial
        if expected not in {SILENT, STALLED}:  # a router so hasty gives up on a busy machine too
            await stream(client, texts := [])
            assert texts


@pytest.mark.parametrize("name", list(FAULTS))
async def test_an_answer_that_cannot_be_finished(
    settings: Settings, fake_vllm: FakeVllm, name: str
) -> None:
    """`Chat` fails as a whole with the same reason; the next question is answered."""
    fault, expected = FAULTS[name]
    fake_vllm.next(fault)
    async with asking(settings, fake_vllm, expected) as client:
        with pytest.raises(TameError) as caught:
            await client.chat(LEGAL)
        check(caught.value, expected)
        if expected not in {SILENT, STALLED}:
            assert (await client.chat(LEGAL)).content


async def test_a_backend_that_is_still_starting(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """While the engine loads, callers are asked to come back; then they are answered."""
    fake_vllm.starting = True
    with pytest.raises(TameError) as caught:
        await client.chat(LEGAL)
    check(caught.value, UNAVAILABLE)
    fake_vllm.starting = False
    assert (await client.chat(LEGAL)).content


async def test_a_backend_that_is_not_there(settings: Settings) -> None:
    """The router serves without its backend, decides, and says that nobody can answer now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    absent = changed(settings, local={"base_url": f"http://127.0.0.1:{port}/v1", "api_key": KEY})
    async with app.running(absent) as address, AsyncClient(address, attempts=1) as client:
        assert (await client.route(LEGAL)).expert == "legal"
        with pytest.raises(TameError) as caught:
            await client.chat(LEGAL)
    error = check(caught.value, UNAVAILABLE)
    assert str(port) not in error.message


async def test_an_adapter_that_the_backend_does_not_know(
    client: AsyncClient, fake_vllm: FakeVllm
) -> None:
    """The revision that is missing is named, for whoever loads it."""
    fake_vllm.adapters = ()
    with pytest.raises(TameError) as caught:
        await client.chat(LEGAL)
    error = check(caught.value, FAULTS["404"][1])
    revision = error.info.metadata["revision"]
    assert revision.startswith("legal--")
    assert revision in error.message
