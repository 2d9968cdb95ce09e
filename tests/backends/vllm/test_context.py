"""What does not fit the base model's context is cut where that is allowed, else told in numbers."""

from collections.abc import Callable

import pytest

from tame_router.backends.vllm.backend import VllmBackend
from tame_router.chat import FinishReason
from tame_router.errors import (
    BackendUnavailableError,
    ContextTooLongError,
    InvalidRequestError,
)
from tests.fakes import vllm_wire as wire
from tests.fakes.generations import as_json, finish_of, generation, read
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace, Refuse

pytestmark = pytest.mark.anyio

PROMPT_TOKENS = wire.count_tokens(as_json(generation()))


async def test_context_is_asked_once(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """The context length must be the base model's, and be remembered."""
    backend = connect()
    assert [await backend.context_tokens() for _ in range(3)] == [2048] * 3
    assert len(fake_vllm.received) == 1


async def test_failure_to_learn_the_context_is_not_remembered(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A server that starts later must be asked again."""
    backend = connect()
    fake_vllm.starting = True
    with pytest.raises(BackendUnavailableError):
        await backend.context_tokens()
    fake_vllm.starting = False
    assert await backend.context_tokens() == 2048


async def test_too_long_conversation_says_how_long(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A prompt above the context must be refused with both numbers."""
    backend = connect()
    asked = generation(text="長" * 5000)
    with pytest.raises(ContextTooLongError) as caught:
        await read(backend, asked)
    tokens = str(wire.count_tokens(as_json(asked)))
    assert tokens in caught.value.message
    assert "2048" in caught.value.message
    assert "長" not in caught.value.message
    assert caught.value.metadata["prompt_tokens"] == tokens
    assert caught.value.metadata["context_tokens"] == "2048"


async def test_expert_that_asks_for_too_much_answers_shorter(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A `max_tokens` that the caller did not name must shrink to what fits."""
    fake_vllm.max_model_len = 40
    fake_vllm.pace = Pace(answer_tokens=100)
    backend = connect()
    pieces = await read(backend, generation(max_tokens=4096))
    assert [one.body.get("max_tokens") for one in fake_vllm.chats] == [4096, 40 - PROMPT_TOKENS]
    assert finish_of(pieces) is FinishReason.LENGTH


@pytest.mark.parametrize("max_tokens", [4096, 40, 41 - PROMPT_TOKENS])
async def test_caller_that_asks_for_too_much_is_told(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm, max_tokens: int
) -> None:
    """A `max_tokens` that the caller named must never be cut, also where vLLM would cut it."""
    fake_vllm.max_model_len = 40
    backend = connect()
    with pytest.raises(ContextTooLongError) as caught:
        await read(backend, generation(max_tokens=max_tokens, strict=True))
    for number in (PROMPT_TOKENS, max_tokens, 40):
        assert str(number) in caught.value.message
    assert fake_vllm.chats == []


async def test_caller_that_asks_for_what_fits_is_answered(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A `max_tokens` that just fits must be taken, counted only where it is near the limit."""
    fake_vllm.max_model_len = 40
    backend = connect()
    assert await read(backend, generation(max_tokens=40 - PROMPT_TOKENS, strict=True))
    fake_vllm.max_model_len = 2048
    other = connect()
    assert await read(other, generation(max_tokens=100, strict=True))
    assert [one.path for one in fake_vllm.received].count("/tokenize") == 1
    await other.close()


async def test_prompt_as_long_as_the_context_is_too_long(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A prompt that leaves no token for the answer must be refused as too long."""
    fake_vllm.max_model_len = PROMPT_TOKENS
    backend = connect()
    with pytest.raises(ContextTooLongError):
        await read(backend, generation())


async def test_other_complaint_about_max_tokens_stands(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A refusal that counting does not explain must be passed on as it is."""
    fake_vllm.next(Refuse(status=400, body=wire.error_body(400, "is odd", param="max_tokens")))
    backend = connect()
    with pytest.raises(InvalidRequestError, match="is odd") as caught:
        await read(backend, generation(max_tokens=7))
    assert caught.value.field == "sampling.max_tokens"
    assert len(fake_vllm.chats) == 1


async def test_second_refusal_is_final(
    connect: Callable[..., VllmBackend], fake_vllm: FakeVllm
) -> None:
    """A shorter answer must be asked for once only."""
    fake_vllm.max_model_len = 40
    body = wire.error_body(400, "maximum context length", param="max_tokens")
    fake_vllm.next(Refuse(status=400, body=body), Refuse(status=400, body=body))
    backend = connect()
    with pytest.raises(ContextTooLongError):
        await read(backend, generation(max_tokens=4096))
    assert len(fake_vllm.chats) == 2
