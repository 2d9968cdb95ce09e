"""What the real vLLM makes of a priority, and of a schema that is none."""

from collections.abc import AsyncIterator

import pytest

from tame_router.backends.backend import Generation
from tame_router.backends.engine.state import EngineState
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.chat import Format, Message, ResponseFormat, Role, Sampling, Shape
from tame_router.errors import InvalidRequestError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def backend(engine: EngineState, engine_key: str) -> AsyncIterator[VllmBackend]:
    """Give the engine as a backend that goes by priorities."""
    backend = VllmBackend(VllmSpec(base_url=engine.base_url, api_key=engine_key, priorities=True))
    yield backend
    await backend.close()


async def written(backend: VllmBackend, shape: Shape | None = None, priority: int = 0) -> str:
    """Ask for a few words."""
    generation = Generation(
        revision="",
        messages=(Message(role=Role.USER, content="Say hello."),),
        sampling=Sampling(max_tokens=5, temperature=0.0),
        request_id="request-1",
        shape=shape or Shape(),
        priority=priority,
    )
    async with backend.open(generation) as pieces:
        return "".join([piece.text async for piece in pieces])


@pytest.mark.parametrize("priority", [-100, 0, 100])
async def test_a_priority_is_taken(backend: VllmBackend, priority: int) -> None:
    """Whatever a tenant may have; the answer is the same."""
    assert await written(backend, priority=priority) == await written(backend)


@pytest.mark.parametrize(
    "schema", ['{"type":"nonsense"}', '{"properties":[]}', '{"$ref":"#/nowhere"}', '{"enum":[]}']
)
async def test_a_schema_that_is_none_is_refused_by_its_field(
    backend: VllmBackend, schema: str
) -> None:
    """It is the caller's fault, before a word, and without a path of the engine's source."""
    form = ResponseFormat(format=Format.JSON_SCHEMA, name="answer", schema=schema)
    with pytest.raises(InvalidRequestError, match="cannot hold an answer") as raised:
        await written(backend, Shape(response_format=form))
    assert raised.value.field == "response_format"
    assert ".cc:" not in raised.value.message
