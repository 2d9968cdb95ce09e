"""Several experts, one answer: every join, end to end."""

import pytest

from tame_router.chat import FinishReason, Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import DecisionMade, Delta, Event, ExpertFinish, ExpertStart, Final
from tame_router.client.joined import Draft, Note, Part, Tally
from tame_router.config import Settings
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace, Refuse, Silence
from tests.flows.test_answer import ask
from tests.joined_fixture import BOTH, JOINS, LEGAL, all_closed, asking
from tests.joined_order import check_order, words

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("join", JOINS)
async def test_two_experts_answer_once(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Each join gives a whole answer in order, and usage is the sum of all steps'."""
    # The two are as likely: the other's vote could change the outcome.
    fake_vllm.logprobs = {names["legal"]: -9.0}
    events = await ask(client, LEGAL, join=join, **BOTH)
    check_order(events)
    made, final = events[0], events[-1]
    assert isinstance(made, DecisionMade)
    assert (made.decision.join, made.decision.join_reason) == (join, "ASKED")
    assert list(made.decision.experts) == ["legal", "medical"]
    # The fallback is not among those allowed, so the base model writes under the lead's name.
    last = {"second_opinion": [("legal", Part.OPINION)], "fuse": [("legal", Part.JOINED)]}
    steps = [(step.expert, step.part) for step in made.steps]
    assert [expert for expert, _ in steps[:2]] == ["legal", "medical"]
    assert steps[2:] == last.get(join, [])
    starts = [(e.expert, e.part) for e in events if isinstance(e, ExpertStart)]
    assert starts == steps
    finishes = [e for e in events if isinstance(e, ExpertFinish)]
    assert isinstance(final, Final)
    assert final.usage.completion_tokens == sum(f.usage.completion_tokens for f in finishes)
    assert not [e for e in events if isinstance(e, Note)]
    expected = {
        "panel": "【法律】\n依勞基法。\n\n【醫療】\n先冰敷。",
        "second_opinion": "依勞基法。\n\n【補充意見：醫療】\n都要。",
        "fuse": "都要。\n\n[1] 法律\n[2] 醫療",
        "vote": "先冰敷。",
        "best_of": "先冰敷。",
    }
    assert words(events, labels=True) == expected[join]
    answer = await client.chat(LEGAL, join=join, **BOTH)
    assert answer.content == expected[join]
    assert "".join(part.content for part in answer.parts) == words(events)
    assert (answer.tally is not None) == (join in {"vote", "best_of"})
    assert fake_vllm.running == 0


@pytest.mark.parametrize("join", JOINS)
async def test_a_slow_expert_is_waited_for(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Slow within its limits is no fault; streaming joins do not let the lead wait for it."""
    fake_vllm.paces = {names["medical"]: Pace(first_token_s=0.3)}
    fake_vllm.logprobs = {names["legal"]: -9.0}
    seen: list[Event] = []
    async with client.stream(LEGAL, join=join, **BOTH) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Delta) and join in {"panel", "second_opinion"}:
                slow = [c for c in fake_vllm.chats if c.body["model"] == names["medical"]]
                if event.part is Part.LEAD:
                    assert not slow or not slow[0].ended.is_set()
    assert not [e for e in seen if isinstance(e, Note)]
    assert {e.expert for e in seen if isinstance(e, ExpertFinish)} >= {"legal", "medical"}


async def test_a_panel_interleaves_when_asked(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str]
) -> None:
    """All at once, without headings: each expert's words still whole and in order."""
    fake_vllm.pace = Pace(token_s=0.02)
    events = await ask(client, LEGAL, join="panel", interleaved=True, **BOTH)
    check_order(events)
    speakers = [e.expert for e in events if isinstance(e, Delta)]
    assert speakers.count("legal") > 1
    assert speakers.index("medical") < len(speakers) - 1 - speakers[::-1].index("legal")
    assert words(events, "legal") == "依勞基法。"
    assert words(events, "medical") == "先冰敷。"
    assert words(events) == words(events, labels=True)
    whole = await client.chat(LEGAL, join="panel", interleaved=True, **BOTH)
    assert whole.content == "【法律】\n依勞基法。\n\n【醫療】\n先冰敷。"


async def test_drafts_are_shown_when_asked(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str]
) -> None:
    """As events of their own, which are no part of the answer; the writer reads them."""
    events = await ask(client, LEGAL, join="fuse", drafts=True, **BOTH)
    drafts = [e for e in events if isinstance(e, Draft)]
    assert {d.expert for d in drafts} == {"legal", "medical"}
    asked = fake_vllm.chats[-1].body
    assert asked["model"] == BASE_MODEL
    assert "依勞基法。" in asked["messages"][-1]["content"]
    assert "先冰敷。" in asked["messages"][-1]["content"]
    assert LEGAL in asked["messages"][-1]["content"]


async def test_tokens_are_shared(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str]
) -> None:
    """All steps together are given no more than the caller's `max_tokens`."""
    fake_vllm.texts = {}
    for join in JOINS:
        answer = await client.chat(LEGAL, join=join, sampling=Sampling(max_tokens=20), **BOTH)
        assert answer.final.usage.completion_tokens <= 20
    given = [chat.body["max_tokens"] for chat in fake_vllm.chats]
    assert given[:2] == [10, 10]
    assert given[2:5] == [8, 8, 4]
    assert given[5:8] == [5, 5, 10]


async def test_three_experts_and_a_quorum(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str]
) -> None:
    """A fusion begins when enough drafts are finished; the late one is stopped and noted."""
    electronics = next(n for n in fake_vllm.adapters if n.startswith("electronics"))
    fake_vllm.faults = {electronics: Silence(events=4)}
    async with asking(settings, quorum=0.6) as client:
        events = await ask(
            client, LEGAL, join="fuse", max_experts=3, deny=["general"], timeout_s=20
        )
    check_order(events)
    (note,) = [e for e in events if isinstance(e, Note)]
    assert (note.expert, note.reason) == ("electronics", "NOT_WAITED_FOR")
    assert words(events) == "都要。"
    await all_closed(fake_vllm)


async def test_a_judge_chooses(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str]
) -> None:
    """The configured expert's verdict decides; where it cannot be read, probabilities do."""
    async with asking(settings, judge="medical") as client:
        events = await ask(client, LEGAL, join="best_of", **BOTH)
        check_order(events)
        asked = [(e.expert, e.part) for e in events if isinstance(e, ExpertStart)]
        made = events[0]
        assert isinstance(made, DecisionMade)
        assert asked == [(step.expert, step.part) for step in made.steps]
        assert asked[2:] == [("medical", Part.JUDGE)]
        assert made.steps[2].max_tokens == 16
        answer = await client.chat(LEGAL, join="best_of", **BOTH)
        assert answer.content == "依勞基法。"  # the fake's JSON takes the first of the numbers
        assert answer.tally is not None
        assert [entry.weight for entry in answer.tally.entries] == [1, 0]
        fake_vllm.faults = {BASE_MODEL: Refuse(status=500)}
        noted = await client.chat(LEGAL, join="best_of", **BOTH)
    assert noted.content in {"依勞基法。", "先冰敷。"}
    assert [(note.expert, note.part) for note in noted.notes] == [("medical", Part.JUDGE)]


async def test_a_vote_counts_letters(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str]
) -> None:
    """Letters are the choices; the lead's probability decides where both are as sure."""
    fake_vllm.texts = {names["legal"]: "B", names["medical"]: "(A)"}
    events = await ask(client, LEGAL, join="vote", **BOTH)
    (tally,) = [e for e in events if isinstance(e, Tally)]
    assert tally.entries[0].choice == "B"
    assert tally.expert == "legal"
    assert words(events) == "B"
    assert {e.part for e in events if isinstance(e, Delta)} == {Part.JOINED}


async def test_one_expert_is_asked_as_ever(client: AsyncClient, fake_vllm: FakeVllm) -> None:
    """Without a word about joins a question of one domain costs one request."""
    events = await ask(client, LEGAL)
    made = events[0]
    assert isinstance(made, DecisionMade)
    assert (made.decision.join, made.decision.join_reason) == ("single", "ONE_EXPERT")
    assert made.steps == ()
    assert len(fake_vllm.chats) == 1
    assert [e.title for e in events if isinstance(e, ExpertStart)] == [""]
    final = events[-1]
    assert isinstance(final, Final)
    assert final.finish_reason is FinishReason.STOP
