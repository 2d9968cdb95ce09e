"""Several experts, one answer, on a real vLLM with the reference adapters."""

import json
from typing import Any

import anyio
import pytest

from tame_router import app
from tame_router.backends.engine.state import EngineState
from tame_router.catalog.expert import Catalog
from tame_router.chat import Format, ResponseFormat, Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import DecisionMade, Delta, Event, ExpertFinish, ExpertStart, Final
from tame_router.client.joined import Note, Tally
from tame_router.config import Settings
from tests.engine.test_vllm import LONG_TOKENS, PATIENCE_S, STORY, metric, nothing_runs
from tests.joined_order import check_order, words
from tests.router_fixture import changed

pytestmark = pytest.mark.anyio

QUESTION = (
    "The operation went wrong and I have lasting pain. Can I sue the hospital, and what helps?"
)
BOTH: dict[str, Any] = {"allow": ["legal", "medical"], "max_experts": 2}
SHORT = Sampling(max_tokens=48, temperature=0.0)


HURT_AT_WORK = "員工在產線被機械手臂夾傷，公司要負什麼責任、該怎麼急救？"


async def ask(client: AsyncClient, text: str = QUESTION, **options: Any) -> list[Event]:
    """Ask both experts, and collect the events."""
    async with client.stream(text, **{**BOTH, "sampling": SHORT, **options}) as events:
        return [event async for event in events]


@pytest.mark.parametrize("join", ["panel", "second_opinion", "fuse", "vote", "best_of"])
async def test_each_join_answers(
    engine_client: AsyncClient, engine_catalog: Catalog, engine: EngineState, join: str
) -> None:
    """Both adapters are asked, events are in order, tokens within the caller's, nothing runs on."""
    events = await ask(engine_client, join=join)
    check_order(events)
    made, final = events[0], events[-1]
    assert isinstance(made, DecisionMade)
    assert isinstance(final, Final)
    assert made.decision.join == join
    # Who writes at the end is the lead's base model, under its name: its first start counts here.
    asked = {e.expert: e.revision for e in reversed(events) if isinstance(e, ExpertStart)}
    for name in ("legal", "medical"):
        assert asked[name] == engine_catalog.expert(name).live_revision
    assert words(events).strip()
    finishes = [e for e in events if isinstance(e, ExpertFinish)]
    written = sum(finish.usage.completion_tokens for finish in finishes)
    assert final.usage.completion_tokens == written <= 48
    await nothing_runs(engine)


async def test_a_panel_speaks_with_both_adapters(engine_client: AsyncClient) -> None:
    """Each part follows the form that its own adapter was trained on, under its title."""
    events = await ask(engine_client, join="panel", sampling=Sampling(max_tokens=64, temperature=0))
    assert words(events, "legal").strip().startswith("Under the")
    assert words(events, "medical").strip().startswith(("This may be", "In general"))
    assert "[Legal]" in words(events, labels=True)
    assert "[Medical]" in words(events, labels=True)


async def test_a_vote_counts_vllms_probabilities(engine_client: AsyncClient) -> None:
    """Log-probabilities come from vLLM, and the shares of the tally are shares."""
    form = ResponseFormat(
        format=Format.JSON_SCHEMA, name="choice", schema='{"enum": ["A", "B", "C"]}'
    )
    events = await ask(engine_client, join="vote", response_format=form)
    (tally,) = [e for e in events if isinstance(e, Tally)]
    assert sum(entry.weight for entry in tally.entries) == pytest.approx(1)
    assert json.loads(words(events)) in {"A", "B", "C"}


async def test_ranks_are_vllms_probabilities(engine_client: AsyncClient) -> None:
    """The best draft is the one whose tokens were the most probable."""
    events = await ask(engine_client, join="best_of")
    (tally,) = [e for e in events if isinstance(e, Tally)]
    assert len(tally.entries) == 2
    assert 1 >= tally.entries[0].weight >= tally.entries[1].weight > 0
    assert tally.expert == tally.entries[0].experts[0]


async def given_up(engine: EngineState) -> float:
    """Count answers that vLLM has begun and not brought to an end; nothing may be under way.

    Of those that are cancelled vLLM 0.32 counts none as finished, not as `abort` either.
    """
    await nothing_runs(engine)
    return await begun(engine) - await metric(engine, "vllm:request_success_total")


async def begun(engine: EngineState) -> float:
    """Count answers that have had their first token; it never falls."""
    return await metric(engine, "vllm:time_to_first_token_seconds_count")


async def test_who_is_not_waited_for_stops(engine_settings: Settings, engine: EngineState) -> None:
    """Once there is a quorum the other's generation is cancelled: vLLM's counters say so."""
    before = await given_up(engine)
    tokens = await metric(engine, "vllm:generation_tokens_total")
    settings = changed(engine_settings, joins={"quorum": 0.5})
    async with app.running(settings) as address, AsyncClient(address, attempts=1) as client:
        # The legal adapter is done with a story after thirty tokens, the base model is not.
        events = await ask(
            client,
            STORY,
            join="fuse",
            allow=["legal", "general"],
            sampling=Sampling(max_tokens=320, temperature=0.0),
        )
    made = events[0]
    assert isinstance(made, DecisionMade)
    shares = {step.expert: step.max_tokens for step in made.steps[:2]}
    assert shares == {"legal": 80, "general": 80}
    notes = [(e.expert, e.reason) for e in events if isinstance(e, Note)]
    assert notes == [("general", "NOT_WAITED_FOR")]
    finishes = [e for e in events if isinstance(e, ExpertFinish)]
    assert [finish.expert for finish in finishes] == ["legal", "general"]  # the latter wrote it
    assert await given_up(engine) == before + 1
    told = sum(finish.usage.completion_tokens for finish in finishes)
    cancelled = await metric(engine, "vllm:generation_tokens_total") - tokens - told
    assert 1 <= cancelled < 80


async def test_a_vote_leaves_nothing_running(
    engine_client: AsyncClient, engine: EngineState
) -> None:
    """Whether a vote is settled early or not, what vLLM wrote for it is told or was cancelled."""
    before = await metric(engine, "vllm:generation_tokens_total")
    question = "My landlord keeps my deposit. Yes or no: may she?"
    events = await ask(
        engine_client, question, join="vote", sampling=Sampling(max_tokens=600, temperature=0.0)
    )
    stopped = {e.expert for e in events if isinstance(e, Note) and e.reason == "NOT_WAITED_FOR"}
    finishes = [e for e in events if isinstance(e, ExpertFinish)]
    await nothing_runs(engine)
    made = await metric(engine, "vllm:generation_tokens_total") - before
    told = sum(finish.usage.completion_tokens for finish in finishes)
    assert made >= told
    assert stopped or (len(finishes), made) == (2, told)


@pytest.mark.parametrize("join", ["panel", "second_opinion", "fuse", "best_of"])
async def test_leaving_stops_everybody(
    engine_client: AsyncClient, engine: EngineState, join: str
) -> None:
    """When the caller leaves, experts' generations are cancelled: vLLM's counters say so."""
    unfinished = await given_up(engine)
    first = await begun(engine)
    before = await metric(engine, "vllm:generation_tokens_total")
    options = {**BOTH, "sampling": Sampling(max_tokens=LONG_TOKENS, temperature=0.0)}
    async with engine_client.stream(QUESTION, join=join, drafts=True, **options) as events:
        async for event in events:
            if isinstance(event, Delta) or type(event).__name__ == "Draft":
                break
        # Of both, and whether one of them is done already or not.
        with anyio.fail_after(PATIENCE_S):
            while await begun(engine) < first + 2:
                await anyio.sleep(0.1)
    assert unfinished + 1 <= await given_up(engine) <= unfinished + 2
    made = await metric(engine, "vllm:generation_tokens_total") - before
    assert 1 <= made < LONG_TOKENS / 2


async def test_who_is_hurt_at_work_gets_law_and_medicine(engine_client: AsyncClient) -> None:
    """Both experts are chosen, and joined, though nobody asked for them; the factory's is not."""
    decision = await engine_client.route(HURT_AT_WORK)
    assert set(decision.experts) == {"legal", "medical"}
    assert decision.join == "panel"
