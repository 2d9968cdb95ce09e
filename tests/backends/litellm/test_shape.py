"""Tools, schemas and log-probabilities by way of LiteLLM."""

import json

import pytest
from msgspec.structs import replace

from tame_router.chat import (
    FinishReason,
    Format,
    ResponseFormat,
    Shape,
    Tool,
    ToolChoice,
    ToolMode,
)
from tame_router.errors import InvalidRequestError
from tests.backends.conftest import Make
from tests.fakes.generations import finish_of, generation, read, text_of
from tests.fakes.vllm import BASE_MODEL, FakeVllm

# LiteLLM warns about itself under Pydantic 2.14, and leaves tasks behind when a loop ends.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]

WEATHER = Tool(name="weather", parameters='{"type":"object","properties":{"day":{"const":3}}}')


@pytest.mark.parametrize(
    "choice",
    [ToolChoice(mode=ToolMode.REQUIRED), ToolChoice(mode=ToolMode.NAMED, name="weather")],
)
async def test_calls_come_through(make: Make, fake_vllm: FakeVllm, choice: ToolChoice) -> None:
    """Tools go to the provider in OpenAI's words, and calls come back piece by piece."""
    asked = generation(revision="", shape=Shape(tools=(WEATHER,), tool_choice=choice))
    pieces = await read(make(), asked)
    calls = [call for piece in pieces for call in piece.tool_calls]
    assert calls[0].name == "weather"
    assert calls[0].id
    assert "".join(call.arguments for call in calls) == '{"day": 3}'
    assert finish_of(pieces) is FinishReason.TOOL_CALLS
    body = fake_vllm.chats[0].body
    assert body["tools"][0]["function"]["parameters"]["properties"] == {"day": {"const": 3}}
    assert body["tool_choice"] in (
        "required",
        {"type": "function", "function": {"name": "weather"}},
    )


async def test_form_and_logprobs_come_through(make: Make, fake_vllm: FakeVllm) -> None:
    """A schema is passed on as it is, and log-probabilities come back as OpenAI's list."""
    wanted = ResponseFormat(
        format=Format.JSON_SCHEMA, name="x", schema='{"type":"object","properties":{}}', strict=True
    )
    asked = generation(revision="", shape=Shape(response_format=wanted, top_logprobs=2))
    asked = replace(asked, trace={"traceparent": "00-1-2-01"})
    pieces = await read(make(), asked)
    assert text_of(pieces) == "{}"
    (token,) = json.loads(next(piece.logprobs for piece in pieces if piece.logprobs))
    assert (token["token"], len(token["top_logprobs"])) == ("{}", 2)
    (chat,) = fake_vllm.chats
    assert chat.headers["traceparent"] == "00-1-2-01"
    assert chat.body["response_format"]["json_schema"]["strict"] is True


async def test_a_provider_without_logprobs_answers_a_join(make: Make, fake_vllm: FakeVllm) -> None:
    """What only weighs answers is left out there; who asks for it is told that there is none."""
    backend = make(base_model=f"mistral/{BASE_MODEL}", api_key="none")
    fake_vllm.text = "可以。"
    weighed = generation(revision="", shape=Shape(top_logprobs=0, weighed=True))
    assert text_of(await read(backend, weighed)) == "可以。"
    assert fake_vllm.chats[0].body.keys().isdisjoint({"logprobs", "top_logprobs"})
    with pytest.raises(InvalidRequestError, match="logprobs"):
        await read(backend, replace(weighed, shape=Shape(top_logprobs=0)))


async def test_several_answers_are_refused_by_name(make: Make, fake_vllm: FakeVllm) -> None:
    """LiteLLM loses the ends of all answers but one, so that none of several could be trusted."""
    with pytest.raises(InvalidRequestError, match="one at a time") as caught:
        await read(make(), generation(shape=Shape(choices=2)))
    assert caught.value.field == "n"
    assert fake_vllm.chats == []
