"""A vLLM server answers through the backend, and each way it fails has its error."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.chat import FinishReason, Usage
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendUnavailableError,
    ConfigError,
    InvalidRequestError,
    TameError,
)
from tests.fakes import vllm_wire as wire
from tests.fakes.generations import (
    REVISION,
    as_json,
    finish_of,
    generation,
    read,
    text_of,
    usage_of,
)
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace, Raw, Refuse

pytestmark = pytest.mark.anyio

PROMPT_TOKENS = wire.count_tokens(as_json(generation()))


async def test_answer_of_an_adapter(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """The words, the finish and the usage must be those of the revision asked for."""
    backend = connect()
    asked = generation(temperature=0.0, stop=("USER:",))
    pieces = await read(backend, asked)
    assert text_of(pieces) == "".join(fake_vllm.tokens_for(REVISION, as_json(asked)))
    assert finish_of(pieces) is FinishReason.STOP
    assert usage_of(pieces) == Usage(prompt_tokens=PROMPT_TOKENS, completion_tokens=16)


@pytest.mark.parametrize(
    ("priorities", "priority", "sent"),
    [(True, 7, -7), (True, -3, 3), (True, 0, None), (False, 7, None)],
)
async def test_priority_is_sent_where_the_server_goes_by_it(
    connect: Callable[..., VllmBackend],
    fake_vllm: FakeVllm,
    priorities: bool,
    priority: int,
    sent: int | None,
) -> None:
    """Higher goes first with us, lower with vLLM; a server that does not know it is not told."""
    await read(connect(priorities=priorities), replace(generation(), priority=priority))
    assert fake_vllm.received[-1].body.get("priority") == sent


async def test_request_as_sent(connect: Callable[..., VllmBackend], fake_vllm: FakeVllm) -> None:
    """Revision, messages, sampling and request id must reach the server, in one POST."""
    backend = connect()
    asked = generation(max_tokens=5, temperature=0.0)
    pieces = await read(backend, asked)
    assert finish_of(pieces) is FinishReason.LENGTH
    (received,) = fake_vllm.received
    assert received.body == {
        "model": REVISION,
        "messages": as_json(asked),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "temperature": 0.0,
    }
    assert received.headers["x-request-id"] == "request-1"
    assert received.headers["content-type"] == "application/json"


async def test_request_id_cannot_break_the_header(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """An id with line breaks or other scripts must not add a header nor fail."""
    backend = connect()
    await read(backend, generation(request_id="a\r\nX-Evil: 1 依"))
    assert fake_vllm.chats[0].headers["x-request-id"] == "a??X-Evil: 1 ?"


async def test_base_model_answers_without_revision(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Without a revision the base model must be asked, by the name that was configured."""
    backend = connect()
    await read(backend, generation(revision=""))
    assert [one.body["model"] for one in fake_vllm.received] == [BASE_MODEL]


async def test_name_of_the_base_model_is_read_once(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Without a configured name the server's list must be asked, the first time only."""
    backend = connect(base_model="")
    for _ in range(2):
        await read(backend, generation(revision=""))
    assert [one.path for one in fake_vllm.received].count("/v1/models") == 1
    assert fake_vllm.chats[1].body["model"] == BASE_MODEL


@pytest.mark.parametrize(
    ("status", "kind", "retry"),
    [
        (400, InvalidRequestError, None),
        (401, BackendRefusedKeyError, None),
        (403, BackendRefusedKeyError, None),
        (404, AdapterNotLoadedError, 1.0),
        (408, BackendOverloadedError, 1.0),
        (422, InvalidRequestError, None),
        (429, BackendOverloadedError, 1.0),
        (500, BackendFailedError, None),
        (502, BackendUnavailableError, 1.0),
        (503, BackendUnavailableError, 1.0),
        (504, BackendUnavailableError, 1.0),
        (302, BackendProtocolError, None),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", wire.error_body(400, "no"), b"x" * 100_000])
async def test_status_has_its_error(
    connect: Callable[..., VllmBackend],
    fake_vllm: FakeVllm,
    status: int,
    kind: type[TameError],
    retry: float | None,
    body: bytes,
) -> None:
    """Every status must give its error whatever body comes with it."""
    fake_vllm.next(Refuse(status=status, body=body))
    backend = connect()
    with pytest.raises(TameError) as caught:
        await read(backend, generation())
    assert type(caught.value) is kind
    assert caught.value.retry_after_s == retry


async def test_retry_after_is_honoured(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """The wait that the server asks for must be the one that the caller is told."""
    fake_vllm.next(Refuse(status=429, headers=(("Retry-After", "7"),)))
    backend = connect()
    with pytest.raises(BackendOverloadedError) as caught:
        await read(backend, generation())
    assert caught.value.retry_after_s == 7


async def test_unknown_adapter_is_named(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A revision that is not loaded must be named, and be worth another try."""
    backend = connect()
    with pytest.raises(AdapterNotLoadedError, match="legal--ffff") as caught:
        await read(backend, generation(revision="legal--ffff"))
    assert caught.value.metadata["revision"] == "legal--ffff"


async def test_key_opens_and_is_never_shown(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """The right key must answer; a wrong one must fail without being repeated."""
    fake_vllm.api_key = "right-key"
    backend = connect(api_key="right-key")
    assert await read(backend, generation())
    with pytest.raises(BackendRefusedKeyError) as caught:
        await read(connect(api_key="wrong-key"), generation())
    shown = f"{VllmSpec(api_key='wrong-key')!r} {caught.value!r} {caught.value.metadata}"
    assert "wrong-key" not in shown


@pytest.mark.parametrize("key", ["two\nlines", "鑰匙"])
def test_key_that_no_header_carries_is_refused(key: str) -> None:
    """A key with a line break or another script must stop start-up, unshown."""
    with pytest.raises(ConfigError) as caught:
        VllmSpec(api_key=key)
    assert key not in caught.value.message


async def test_starting_server_is_unavailable_and_not_ready(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A server that is still starting must be worth another try, and not be ready before."""
    backend = connect()
    fake_vllm.starting = True
    assert not await backend.ready()
    with pytest.raises(BackendUnavailableError) as caught:
        await read(backend, generation())
    assert type(caught.value) is BackendUnavailableError
    fake_vllm.starting = False
    assert await backend.ready()


async def test_absent_server_is_unavailable_and_not_ready(
    connect: Callable[..., VllmBackend],
) -> None:
    """A server that is not there must be worth another try, and not be ready."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    backend = connect(base_url=f"http://127.0.0.1:{port}/v1")
    assert not await backend.ready()
    with pytest.raises(BackendUnavailableError):
        await read(backend, generation())
    with pytest.raises(BackendUnavailableError):
        await backend.context_tokens()


@pytest.mark.parametrize(
    "raw",
    [
        Raw(body=b'{"choices":[]}', content_type="application/json"),
        Raw(body=b"<html>", content_type="text/html"),
        Raw(body=b'data: {"choices": [\n\n'),
        Raw(body=b"data: " + b"x" * (2**20 + 1)),
        Raw(body=b"data: [DONE]\n\n"),
    ],
)
async def test_other_protocols_are_told(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, raw: Raw
) -> None:
    """What is no stream of chunks must be the backend's fault."""
    fake_vllm.next(raw)
    backend = connect()
    with pytest.raises(BackendProtocolError):
        await read(backend, generation())


async def test_error_inside_the_stream_comes_after_its_words(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Words sent before an error object must be handed out, then the error by its code."""
    events = wire.answer_events(REVISION, ("a", "b"))
    error = wire.event(wire.error_document(503, "retry", "ServiceUnavailableError"))
    fake_vllm.next(Raw(body=b"".join((*events[:3], error, wire.DONE))))
    backend = connect()
    async with backend.open(generation()) as stream:
        assert (await anext(stream)).text == "ab"
        with pytest.raises(BackendUnavailableError):
            await anext(stream)


async def test_generations_at_once_do_not_mix(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """Answers under way together must each be the one to their own question."""
    fake_vllm.pace = Pace(token_s=0.001, answer_tokens=32)
    backend = connect()

    async def ask(number: int) -> None:
        asked = generation(text=f"question {number}")
        expected = "".join(fake_vllm.tokens_for(REVISION, as_json(asked)))
        assert text_of(await read(backend, asked)) == expected

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(ask(number))


async def test_closed_backend_refuses() -> None:
    """A generation after closing must be a mistake of the program."""
    backend = VllmBackend(VllmSpec())
    await backend.close()
    with pytest.raises(RuntimeError, match="closed"):
        await read(backend, generation())
