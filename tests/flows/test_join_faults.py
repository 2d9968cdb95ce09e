"""What experts do wrong among others: the answer is what the others gave, and a note says so."""

from dataclasses import dataclass

import anyio.to_thread
import pytest

from tame_router.chat import FinishReason, Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import DecisionMade, Delta, Event
from tame_router.client.joined import Draft, Note
from tame_router.config import Settings
from tame_router.errors import NoExpertAnsweredError, TameError
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import HangUp, Pace, Refuse, Silence
from tests.flows.test_answer import ask
from tests.joined_fixture import BOTH, EXPERTS, JOINS, LEGAL, all_closed, asking
from tests.joined_order import check_order, words
from tests.model_faults import (
    DEADLINE_S,
    FAULTS,
    LIMITS,
    MANNERS,
    REASONS,
    faulty,
    numbered,
    try_all,
    unlimited,
)

pytestmark = pytest.mark.anyio

EARLY = [("NOT_WAITED_FOR", "vote"), ("NOT_WAITED_FOR", "fuse")]
"""Reasons of notes, by join, about those who are not waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One expert among several that does something wrong."""

    join: str
    experts: tuple[str, ...]
    position: int
    fault: str

    @property
    def name(self) -> str:
        """Who it is."""
        return self.experts[self.position]

    @property
    def others(self) -> tuple[str, ...]:
        """Those that do nothing wrong."""
        return tuple(expert for expert in self.experts if expert != self.name)


@pytest.mark.parametrize("join", JOINS)
async def test_what_one_expert_does_wrong_leaves_the_others_words(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Of two and of three, in every position: an answer in time, a note, and nothing left open."""
    # The lead's vote alone must not decide before the others are heard.
    fake_vllm.logprobs = {names["legal"]: -9.0}
    every = [
        Broken(join=join, experts=experts, position=position, fault=fault)
        for fault in [*MANNERS, *FAULTS]
        for experts in (EXPERTS[:2], EXPERTS)
        for position in range(len(experts))
    ]
    cases = numbered(every)
    fake_vllm.cases = {word: faulty(names[b.name], b.fault) for word, b in cases.items()}
    async with asking(unlimited(settings), **LIMITS) as client:

        async def one(word: str, broken: Broken) -> None:
            check(broken, await asked(client, word, broken), fake_vllm.texts, names)

        wrong = await try_all(cases, one)
    assert not wrong
    await all_closed(fake_vllm)
    assert fake_vllm.running == 0


async def asked(client: AsyncClient, word: str, broken: Broken) -> list[Event]:
    """Ask the experts of a case."""
    return await ask(
        client,
        f"{LEGAL}{word}",
        join=broken.join,
        allow=list(broken.experts),
        max_experts=len(broken.experts),
        sampling=Sampling(max_tokens=1_200),
        timeout_s=DEADLINE_S,
    )


def check(
    broken: Broken, events: list[Event], texts: dict[str, str], names: dict[str, str]
) -> None:
    """Hold an answer against what its experts did."""
    check_order(events)
    made = events[0]
    assert isinstance(made, DecisionMade)
    assert next(iter(made.decision.experts)) == "legal"
    assert set(made.decision.experts) == set(broken.experts)
    notes = [e for e in events if isinstance(e, Note)]
    (own,) = [note.reason for note in notes if note.expert == broken.name]
    # Enough may have answered before it is known that one cannot; in a vote they may be fewer.
    assert own in REASONS[broken.fault] or (own, broken.join) in EARLY
    assert {(n.reason, broken.join) for n in notes if n.expert != broken.name} <= {EARLY[0]}
    said, words_of = words(events), [texts[names[other]] for other in broken.others]
    match broken.join:
        case "panel":
            assert all(own_words in said for own_words in words_of)
        case "second_opinion":
            assert words_of[0] in said
            assert len(broken.experts) == 2 or any(x in said for x in (*words_of[1:], "都要。"))
        case "fuse":
            assert said in ("都要。", words_of[0])
        case _:
            assert said in words_of


@pytest.mark.parametrize(
    ("join", "limits"),
    [
        ("fuse", {"timeout_s": DEADLINE_S}),
        ("fuse", {"draft_timeout_s": 1.0}),
        ("best_of", {"timeout_s": DEADLINE_S}),
    ],
)
async def test_experts_that_all_babble_are_used_as_far_as_they_are(
    settings: Settings,
    fake_vllm: FakeVllm,
    names: dict[str, str],
    join: str,
    limits: dict[str, float],
) -> None:
    """Where every draft meets its time, what was written is the answer, with a note for each."""
    for name in ("legal", "medical"):
        fake_vllm.texts[names[name]] = "嗯" * 1_500
        fake_vllm.paces[names[name]] = Pace(token_s=0.01)
    sampling = Sampling(max_tokens=2_000)
    timeout_s = limits.get("timeout_s")
    own = {name: limit for name, limit in limits.items() if name != "timeout_s"}
    async with asking(settings, **{**LIMITS, **own}) as client:
        events = await ask(client, LEGAL, join=join, sampling=sampling, timeout_s=timeout_s, **BOTH)
    check_order(events)
    notes = [e for e in events if isinstance(e, Note)]
    assert sorted(note.expert for note in notes) == ["legal", "medical"]
    assert {note.reason for note in notes} == {"DEADLINE_EXCEEDED"}
    assert all(("draft_timeout_s" in note.message) == (timeout_s is None) for note in notes)
    assert words(events) == "都要。" if join == "fuse" else "嗯嗯" in words(events)
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", ["fuse", "best_of"])
async def test_one_that_babbles_beside_one_that_refuses(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Nobody finishes, and what the one wrote is a whole answer all the same, cut short."""
    fake_vllm.faults = {names["legal"]: Refuse(status=500)}
    fake_vllm.texts[names["medical"]] = "嗯" * 1_500
    fake_vllm.paces = {names["medical"]: Pace(token_s=0.01)}
    sampling = Sampling(max_tokens=2_000)
    async with asking(settings, **LIMITS) as client:
        answer = await client.chat(
            LEGAL, join=join, sampling=sampling, timeout_s=DEADLINE_S, **BOTH
        )
    assert answer.content.startswith("嗯嗯")
    assert answer.final.finish_reason is FinishReason.LENGTH
    assert answer.experts == ()
    assert {note.expert for note in answer.notes} == {"legal", "medical"}


@pytest.mark.parametrize("join", ["fuse", "vote", "best_of"])
async def test_a_draft_has_an_end(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """One that writes more than is held is cut, with a note."""
    fake_vllm.texts[names["legal"]] = "嗯" * 1_500
    fake_vllm.max_model_len = 16_384
    # The vote is not over before the babbler is, though the other has answered.
    fake_vllm.logprobs = {names["medical"]: -9.0}
    async with asking(settings, most_waiting_chars=1_024, **LIMITS) as client:
        events = await ask(client, LEGAL, join=join, sampling=Sampling(max_tokens=8_000), **BOTH)
    assert [(e.expert, e.reason) for e in events if isinstance(e, Note)] == [("legal", "TOO_LONG")]
    check_order(events)
    await all_closed(fake_vllm)


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
    async with asking(settings, **LIMITS) as client:
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
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    await all_closed(fake_vllm)
