"""Several experts, one answer: every join, end to end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import pytest

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import DecisionMade, Delta, Event, ExpertFinish, ExpertStart, Final
from tame_router.client.joined import Draft, Note, Part, Tally
from tame_router.config import Settings
from tame_router.errors import NoExpertAnsweredError, TameError
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Cut, Fault, HangUp, Pace, Refuse, Silence
from tests.flows.test_answer import ask
from tests.joined_order import check_order, words
from tests.router_fixture import changed, happened
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

JOINS = ["panel", "second_opinion", "fuse", "vote", "best_of"]
LEGAL = QUESTIONS["legal"][0]
BOTH: dict[str, Any] = {"allow": ["legal", "medical"], "max_experts": 2}
DEADLINE_S = 4.0

FAULTS: dict[str, Fault] = {
    "refuses": Refuse(status=400),
    "is overloaded": Refuse(status=503),
    "is dead": HangUp(),
    "stalls": Silence(events=None),
    "falls silent": Silence(events=4),
    "dies in the middle": Cut(after_bytes=900),
}


@asynccontextmanager
async def asking(settings: Settings, **joins: Any) -> AsyncIterator[AsyncClient]:
    """Give a client of a router that does not wait long for one of several experts."""
    hasty = {"first_token_timeout_s": 1.0, "stall_timeout_s": 1.0, **joins}
    async with (
        app.running(changed(settings, joins=hasty)) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        yield client


@pytest.fixture
def names(catalog: Catalog, fake_vllm: FakeVllm) -> dict[str, str]:
    """Give what the fake knows two experts and the base model as, each with words of its own."""
    found = {name: catalog.expert(name).live_revision for name in ("legal", "medical")}
    found["general"] = BASE_MODEL
    fake_vllm.texts = {
        found["legal"]: "依勞基法。",
        found["medical"]: "先冰敷。",
        BASE_MODEL: "都要。",
    }
    return found


async def all_closed(fake: FakeVllm) -> None:
    """Make sure that no request is open at the fake any longer."""
    for chat in fake.chats:
        assert chat.ended.is_set() or await happened(chat.disconnected)


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
    assert [step.expert for step in made.steps] == ["legal", "medical"]
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
@pytest.mark.parametrize("broken", ["legal", "medical"])
@pytest.mark.parametrize("name", list(FAULTS))
async def test_what_one_expert_does_wrong_leaves_the_others_words(
    settings: Settings,
    fake_vllm: FakeVllm,
    names: dict[str, str],
    join: str,
    broken: str,
    name: str,
) -> None:
    """In either position: an answer within the deadline, a note, and nothing left open."""
    other = "medical" if broken == "legal" else "legal"
    fake_vllm.faults = {names[broken]: FAULTS[name]}
    # Whoever is likelier must not decide the vote before the other is heard.
    fake_vllm.paces = {names[other]: Pace(first_token_s=0.2)}
    async with asking(settings) as client:
        events = await ask(client, LEGAL, join=join, timeout_s=DEADLINE_S, **BOTH)
    check_order(events)
    notes = [e for e in events if isinstance(e, Note)]
    if join != "vote" or broken == "legal":
        assert [note.expert for note in notes] == [broken]
    own = fake_vllm.texts[names[other]]
    assert own in words(events) or (join == "fuse" and words(events) == "都要。")
    await all_closed(fake_vllm)
    assert fake_vllm.running == 0


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("babbling", ["legal", "medical"])
async def test_who_never_ends_is_cut(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str, babbling: str
) -> None:
    """One that would write until the deadline leaves room for the answer, with a note."""
    fake_vllm.texts[names[babbling]] = "嗯" * 1_500
    fake_vllm.paces = {names[babbling]: Pace(token_s=0.01)}
    sampling = Sampling(max_tokens=1_800)
    async with asking(settings) as client:
        events = await ask(client, LEGAL, join=join, sampling=sampling, timeout_s=2.0, **BOTH)
    check_order(events)
    notes = [e for e in events if isinstance(e, Note)]
    assert [note.expert for note in notes] == [babbling]
    assert notes[0].reason in {"DEADLINE_EXCEEDED", "NOT_WAITED_FOR"}
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", ["fuse", "vote", "best_of"])
async def test_a_draft_has_an_end(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """One that writes more than is held is cut, with a note."""
    fake_vllm.texts[names["legal"]] = "嗯" * 1_500
    fake_vllm.max_model_len = 16_384
    # The vote is not over before the babbler is, though the other has answered.
    fake_vllm.logprobs = {names["medical"]: -9.0}
    async with asking(settings, most_waiting_chars=1_024) as client:
        events = await ask(client, LEGAL, join=join, sampling=Sampling(max_tokens=8_000), **BOTH)
    assert [(e.expert, e.reason) for e in events if isinstance(e, Note)] == [("legal", "TOO_LONG")]
    check_order(events)
    await all_closed(fake_vllm)


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
                if event.expert == "legal":
                    assert not slow or not slow[0].ended.is_set()
    assert not [e for e in seen if isinstance(e, Note)]
    assert {e.expert for e in seen if isinstance(e, ExpertFinish)} >= {"legal", "medical"}


@pytest.mark.parametrize("join", JOINS)
async def test_a_caller_that_leaves_closes_everything(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Cancelled, all experts' streams end at once."""
    fake_vllm.faults = {
        names["legal"]: Silence(events=4),
        names["medical"]: Silence(events=4),
    }
    async with client.stream(LEGAL, join=join, drafts=True, **BOTH) as events:
        heard: set[str] = set()
        async for event in events:
            if isinstance(event, Delta | Draft):
                heard.add(event.expert)
            if heard:
                break
        while len(fake_vllm.chats) < 2:
            await anyio.to_thread.run_sync(lambda: fake_vllm.inbox.get(timeout=5))
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", JOINS)
async def test_nobody_left_is_an_error_with_every_reason(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Each expert's reason is in the message and the facts."""
    fake_vllm.faults = {names["legal"]: HangUp(), names["medical"]: Refuse(status=500)}
    async with asking(settings) as client:
        with pytest.raises(NoExpertAnsweredError, match=r"legal: .*medical: ") as caught:
            await client.chat(LEGAL, join=join, **BOTH)
    assert caught.value.metadata["expert.legal"] == "BACKEND_UNAVAILABLE"
    assert caught.value.metadata["expert.medical"] == "BACKEND_FAILED"


@pytest.mark.parametrize("join", JOINS)
async def test_a_deadline_before_any_first_word(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Where no expert can have begun, the answer ends with the reason, in time."""
    fake_vllm.pace = Pace(first_token_s=5)
    with pytest.raises(TameError) as caught:
        await client.chat(LEGAL, join=join, timeout_s=0.4, **BOTH)
    assert caught.value.reason in {"DEADLINE_EXCEEDED", "BACKEND_SILENT"}
    await all_closed(fake_vllm)


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
    async with asking(settings, judge="electronics") as client:
        answer = await client.chat(LEGAL, join="best_of", **BOTH)
        assert answer.content == "依勞基法。"  # the fake's JSON takes the first of the numbers
        assert answer.tally is not None
        assert [entry.weight for entry in answer.tally.entries] == [1, 0]
        fake_vllm.faults = {BASE_MODEL: Refuse(status=500)}
        noted = await client.chat(LEGAL, join="best_of", **BOTH)
    assert noted.content in {"依勞基法。", "先冰敷。"}
    assert [note.expert for note in noted.notes] == ["electronics"]


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
