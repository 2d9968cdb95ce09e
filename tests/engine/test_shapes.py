"""What a real vLLM makes of tools, schemas, several answers and documents."""

import json
import math
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from tame_router.answering.prompt import compose
from tame_router.backends.backend import Piece
from tame_router.backends.engine.state import EngineState
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.backends.vllm.server import VllmServer
from tame_router.catalog.expert import Catalog
from tame_router.chat import (
    Document,
    FinishReason,
    Format,
    Message,
    ResponseFormat,
    Role,
    Shape,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from tame_router.errors import InvalidRequestError
from tests.fakes.generations import finish_of, generation, read, text_of

pytestmark = pytest.mark.anyio

ANSWERS = 50
FIELDS = ["legal", "medical", "other"]
TRIAGE = {
    "type": "object",
    "properties": {
        "field": {"enum": FIELDS},
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
        "word": {"type": "string", "maxLength": 6},
    },
    "required": ["field", "urgency", "word"],
    "additionalProperties": False,
}
WEATHER = Tool(
    name="weather",
    description="Tells the weather of a day.",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {"unit": {"enum": ["C", "F"]}, "day": {"enum": [0, 1, 2]}},
            "required": ["unit", "day"],
            "additionalProperties": False,
        }
    ),
)
PING = Tool(name="ping")


@pytest.fixture
async def backend(engine: EngineState, engine_key: str) -> AsyncIterator[VllmBackend]:
    """Give a backend in front of the real vLLM."""
    # Fifty answers at once on a CPU leave each one silent for long; what they say is tested here.
    backend = VllmBackend(
        VllmSpec(
            base_url=engine.base_url,
            api_key=engine_key,
            first_token_timeout_s=500,
            stall_timeout_s=500,
        )
    )
    yield backend
    await backend.close()


def held_to(schema: dict[str, Any]) -> Shape:
    """Ask for JSON of a schema."""
    wanted = ResponseFormat(
        format=Format.JSON_SCHEMA, name="triage", schema=json.dumps(schema), strict=True
    )
    return Shape(response_format=wanted)


def called(pieces: list[Piece]) -> list[tuple[str, Any]]:
    """Give the names and arguments of the calls."""
    names: dict[int, str] = {}
    texts: dict[int, str] = {}
    for call in (call for piece in pieces for call in piece.tool_calls):
        names.setdefault(call.index, call.name)
        texts[call.index] = texts.get(call.index, "") + call.arguments
    return [(names[index], json.loads(texts[index])) for index in names]


async def test_json_of_a_schema_parses_every_time(backend: VllmBackend) -> None:
    """Fifty of fifty, drawn with different seeds, at once, and warm enough to differ."""
    texts: list[str] = []
    questions = ("My landlord keeps my deposit.", "發燒三天怎麼辦？", "Where is Tainan?")

    async def ask(number: int) -> None:
        asked = generation(
            revision="",
            text=questions[number % 3],
            shape=held_to(TRIAGE),
            max_tokens=64,
            temperature=0.9,
            seed=number,
        )
        pieces = await read(backend, asked)
        assert finish_of(pieces) is FinishReason.STOP
        texts.append(text_of(pieces))

    async with anyio.create_task_group() as group:
        for number in range(ANSWERS):
            group.start_soon(ask, number)
    answers = [json.loads(text) for text in texts]
    assert len(answers) == ANSWERS
    for answer in answers:
        assert set(answer) == {"field", "urgency", "word"}
        assert answer["field"] in FIELDS
        assert answer["urgency"] in range(1, 6)
        assert len(answer["word"]) <= 6
    assert len(set(texts)) > 1


@pytest.mark.parametrize(
    "choice",
    [ToolChoice(mode=ToolMode.REQUIRED), ToolChoice(mode=ToolMode.NAMED, name="weather")],
)
async def test_a_tool_that_must_be_called_is(backend: VllmBackend, choice: ToolChoice) -> None:
    """Its arguments keep to their schema though it does not say `strict`."""
    tools = (WEATHER,) if choice.mode is ToolMode.REQUIRED else (PING, WEATHER)
    shape = Shape(tools=tools, tool_choice=choice, parallel_tool_calls=False)
    asked = generation(revision="", text="Weather?", shape=shape, max_tokens=80, temperature=0.0)
    pieces = await read(backend, asked)
    ((name, arguments),) = called(pieces)
    assert name == "weather"
    assert arguments["unit"] in ("C", "F")
    assert arguments["day"] in (0, 1, 2)
    assert finish_of(pieces) is FinishReason.TOOL_CALLS
    assert text_of(pieces).strip() == ""


async def test_a_tool_without_parameters_takes_none(backend: VllmBackend) -> None:
    """Its arguments are an empty object."""
    choice = ToolChoice(mode=ToolMode.NAMED, name="ping")
    shape = Shape(tools=(PING,), tool_choice=choice)
    asked = generation(revision="", shape=shape, max_tokens=60, temperature=0.0)
    assert called(await read(backend, asked))[0] == ("ping", {})


async def test_a_tools_result_is_read(backend: VllmBackend) -> None:
    """A conversation with calls and results is rendered, whether their arguments parse or not."""
    for arguments in ('{"day":1}', '{"day":'):
        call = ToolCall(id="c1", name="weather", arguments=arguments)
        asked = generation(
            revision="", shape=Shape(tools=(WEATHER,)), max_tokens=4, temperature=0.0
        )
        turns = (
            Message(role=Role.ASSISTANT, content="", tool_calls=(call,)),
            Message(role=Role.TOOL, content="26 °C", tool_call_id="c1"),
        )
        asked = replace(asked, messages=(*asked.messages, *turns))
        assert text_of(await read(backend, asked))


async def test_two_answers_with_their_logprobs(backend: VllmBackend) -> None:
    """Each has its own words, and a probability for each of its tokens."""
    asked = generation(
        revision="",
        text="Name a colour.",
        shape=Shape(choices=2, top_logprobs=2),
        max_tokens=6,
        temperature=1.0,
        seed=3,
    )
    pieces = await read(backend, asked)
    reasons = {piece.choice: piece.finish_reason for piece in pieces if piece.finish_reason}
    assert set(reasons) == {0, 1}
    for choice in (0, 1):
        mine = [piece for piece in pieces if piece.choice == choice]
        tokens = [token for p in mine for token in json.loads(p.logprobs or b"[]")]
        assert "".join(token["token"] for token in tokens).startswith(text_of(mine))
        assert all(len(token["top_logprobs"]) >= 2 for token in tokens)
        assert all(0 < math.exp(token["logprob"]) <= 1 for token in tokens)
    assert sum(p.usage.completion_tokens for p in pieces if p.usage) in range(2, 13)


async def test_a_schema_that_is_none_is_the_callers_fault(backend: VllmBackend) -> None:
    """What the engine cannot make a grammar of is refused, and nothing is written."""
    with pytest.raises(InvalidRequestError, match="nonsense"):
        await read(
            backend, generation(revision="", shape=held_to({"type": "nonsense"}), max_tokens=4)
        )


async def test_documents_are_in_the_prompt(backend: VllmBackend, engine_catalog: Catalog) -> None:
    """The engine reads them: the prompt is longer by their text."""
    legal = engine_catalog.expert("legal")
    asked = generation(revision=legal.live_revision, max_tokens=4, temperature=0.0)
    question = asked.messages[-1:]
    documents = [Document(text="押金不得超過兩個月租金。", title="租賃條例")]
    counts = []
    for given in ((), documents):
        pieces = await read(backend, replace(asked, messages=compose(legal, question, given)))
        counts.append(next(piece.usage.prompt_tokens for piece in pieces if piece.usage))
    assert counts[1] - counts[0] > 100


async def test_prompts_with_tools_are_measured(backend: VllmBackend) -> None:
    """What tools add to a prompt is counted, and stays below the bound."""
    server = VllmServer(backend._http)
    name = "smollm2-135m-instruct"
    plain = await server.measure(name, generation(revision=""))
    tools = await server.measure(name, generation(revision="", shape=Shape(tools=(WEATHER,))))
    assert plain is not None
    assert tools is not None
    assert plain.prompt_tokens + 80 < tools.prompt_tokens < plain.prompt_tokens + 400
