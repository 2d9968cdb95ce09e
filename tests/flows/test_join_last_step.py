"""What who writes at the end, or judges, does wrong: the experts' words are there all the same."""

from collections.abc import Mapping

import pytest

from tame_router.chat import Sampling
from tame_router.client.event import DecisionMade, ExpertFinish, ExpertStart
from tame_router.client.joined import Note, Part, Tally
from tame_router.config import Settings
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Case, Cut, Fault, Pace, Raw, Silence
from tests.fakes.vllm_wire import answer_events
from tests.flows.test_answer import ask
from tests.joined_fixture import EXPERTS, LEGAL, all_closed, asking
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


def written(text: str) -> Fault:
    """Have this written, whatever form was asked for."""
    return Raw(body=b"".join(answer_events(BASE_MODEL, tuple(text))))


VERDICTS: Mapping[str, tuple[Case, set[str]]] = {
    **{name: (faulty(BASE_MODEL, name), REASONS[name]) for name in FAULTS},
    "falls silent": (Case(faults={BASE_MODEL: Silence(events=2)}), {"BACKEND_SILENT"}),
    "dies in the middle": (Case(faults={BASE_MODEL: Cut(after_events=2)}), {"STREAM_BROKEN"}),
    "is slow": (Case(paces={BASE_MODEL: Pace(token_s=3.0)}), {"DEADLINE_EXCEEDED"}),
    "babbles": (Case(faults={BASE_MODEL: written("第一份，" * 200)}), {"TOO_LONG"}),
    "talks": (Case(faults={BASE_MODEL: written("第一份最好。")}), {"UNREADABLE"}),
    "says nothing": (Case(faults={BASE_MODEL: written("")}), {"UNREADABLE"}),
    "names no draft": (Case(faults={BASE_MODEL: written('{"best": 9}')}), {"UNREADABLE"}),
    "names none at all": (Case(faults={BASE_MODEL: written('{"worst": 1}')}), {"UNREADABLE"}),
}
"""What a judge does, and what a note says of it."""


@pytest.mark.parametrize("join", ["second_opinion", "fuse"])
async def test_what_who_writes_at_the_end_does_wrong(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """The lead's words are there in time, or what was written; a note says so."""
    cases = numbered([(n, fault) for fault in [*MANNERS, *FAULTS] for n in (2, 3)])
    fake_vllm.cases = {word: faulty(BASE_MODEL, fault) for word, (_, fault) in cases.items()}
    # All drafts are waited for: no note but the writer's.
    async with asking(unlimited(settings), quorum=1.0, **LIMITS) as client:

        async def one(word: str, case: tuple[int, str]) -> None:
            count, fault = case
            events = await ask(
                client,
                f"{LEGAL}{word}",
                join=join,
                allow=EXPERTS[:count],
                max_experts=count,
                sampling=Sampling(max_tokens=1_800),
                timeout_s=DEADLINE_S,
            )
            check_order(events)
            # The fallback is not among those allowed: the base model writes under the lead's name.
            last = Part.OPINION if join == "second_opinion" else Part.JOINED
            (note,) = [e for e in events if isinstance(e, Note)]
            assert (note.expert, note.part) == ("legal", last)
            assert note.reason in REASONS[fault]
            told = words(events).strip()
            # A fusion that had begun stands as far as it is.
            assert told.startswith("依勞基法。") or (join == "fuse" and told[0] in "嗯都")

        wrong = await try_all(cases, one)
    assert not wrong
    await all_closed(fake_vllm)
    assert fake_vllm.running == 0


@pytest.mark.parametrize("judge", ["legal", "medical", "general"])
async def test_what_a_judge_does_wrong(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], judge: str
) -> None:
    """Probabilities choose, in time, and a note says why; it may be one of the experts."""
    fake_vllm.logprobs = {names["legal"]: -9.0, names["medical"]: -0.1}
    cases = numbered(list(VERDICTS))
    fake_vllm.cases = {word: VERDICTS[name][0] for word, name in cases.items()}
    async with asking(unlimited(settings), judge=judge, **LIMITS) as client:

        async def one(word: str, name: str) -> None:
            events = await ask(
                client,
                f"{LEGAL}{word}",
                join="best_of",
                max_experts=3,
                timeout_s=DEADLINE_S,
            )
            check_order(events)
            made = events[0]
            assert isinstance(made, DecisionMade)
            starts = [(e.expert, e.part) for e in events if isinstance(e, ExpertStart)]
            assert starts == [(step.expert, step.part) for step in made.steps]
            assert starts[3] == (judge, Part.JUDGE)
            (note,) = [e for e in events if isinstance(e, Note)]
            assert (note.expert, note.part) == starts[3]
            assert note.reason in VERDICTS[name][1]
            (tally,) = [e for e in events if isinstance(e, Tally)]
            assert [entry.experts[0] for entry in tally.entries] == [
                "medical",
                "electronics",
                "legal",
            ]
            assert words(events) == "先冰敷。"
            ended = [e.part for e in events if isinstance(e, ExpertFinish)]
            assert ended.count(Part.JUDGE) == (note.reason == "UNREADABLE")

        wrong = await try_all(cases, one)
    assert not wrong
    await all_closed(fake_vllm)
    assert fake_vllm.running == 0
