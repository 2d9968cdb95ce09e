"""What is told of several experts arrives as it was sent."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering import event as inside
from tame_router.api.grpc_request import read_constraints
from tame_router.api.grpc_response import write_event
from tame_router.chat import FinishReason, Usage
from tame_router.client import event as outside
from tame_router.client import joined
from tame_router.client.reading import read_event
from tame_router.client.request import chat_request
from tame_router.routing.decision import Join, Order
from tame_router.v1 import router_service_pb2
from tests.scripted_desk import DECISION

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PARTS = st.sampled_from(inside.Part)


@given(TEXTS, PARTS, st.floats(0, 1), TEXTS)
def test_starts_of_several_arrive(
    expert: str, part: inside.Part, probability: float, title: str
) -> None:
    """Part, probability and title, where there is a title."""
    start = inside.ExpertStart(
        expert=expert, revision="r", notice="", part=part, probability=probability, title=title
    )
    told = title != ""
    assert read_event(write_event(start)) == outside.ExpertStart(
        expert=expert,
        revision="r",
        notice="",
        part=joined.Part(part.value) if told else joined.Part.LEAD,
        probability=probability if told else 0.0,
        title=title,
    )


@given(TEXTS, PARTS, TEXTS)
def test_words_and_drafts_arrive(expert: str, part: inside.Part, text: str) -> None:
    """Whose they are, and what to the answer."""
    delta = inside.Delta(expert=expert, revision="r", text=text, part=part)
    assert read_event(write_event(delta)) == outside.Delta(
        expert=expert, revision="r", text=text, part=joined.Part(part.value)
    )
    draft = inside.DraftDelta(expert=expert, revision="r", text=text)
    assert read_event(write_event(draft)) == joined.Draft(expert=expert, revision="r", text=text)


@given(TEXTS, PARTS, TEXTS, TEXTS)
def test_notes_arrive(expert: str, part: inside.Part, reason: str, message: str) -> None:
    """Who left, and why."""
    note = inside.Note(expert=expert, revision="r", part=part, reason=reason, message=message)
    assert read_event(write_event(note)) == joined.Note(
        expert=expert,
        revision="r",
        part=joined.Part(part.value),
        reason=reason,
        message=message,
    )


@given(TEXTS, st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=3), st.floats(0, 1)), max_size=3))
def test_tallies_arrive(expert: str, entries: list[tuple[str, list[str], float]]) -> None:
    """Every choice with its experts and its weight, in order."""
    tally = inside.Tally(
        expert=expert,
        entries=tuple(
            inside.TallyEntry(choice=c, experts=tuple(e), weight=w) for c, e, w in entries
        ),
    )
    assert read_event(write_event(tally)) == joined.Tally(
        expert=expert,
        entries=tuple(
            joined.TallyEntry(choice=c, experts=tuple(e), weight=w) for c, e, w in entries
        ),
    )


@given(PARTS, st.none() | st.integers(1, 10**6), st.none() | st.integers(0, 10**6))
def test_plans_and_ends_arrive(
    part: inside.Part, max_tokens: int | None, milliseconds: int | None
) -> None:
    """What each step was given; what is absent stays absent."""
    step = inside.PlannedStep(
        expert="legal",
        part=part,
        max_tokens=max_tokens,
        time_s=None if milliseconds is None else milliseconds / 1e3,
    )
    made = read_event(
        write_event(inside.DecisionMade(answer_id="a", decision=DECISION, steps=(step,)))
    )
    assert isinstance(made, outside.DecisionMade)
    assert made.steps == (
        joined.PlannedStep(
            expert="legal",
            part=joined.Part(part.value),
            max_tokens=max_tokens,
            time=None if milliseconds is None else timedelta(milliseconds=milliseconds),
        ),
    )
    finish = inside.ExpertFinish(
        expert="legal",
        revision="",
        finish_reason=FinishReason.STOP,
        usage=Usage(),
        time_to_first_token_s=None,
        elapsed_s=1,
        notice="",
        part=part,
    )
    told = read_event(write_event(finish))
    assert isinstance(told, outside.ExpertFinish)
    assert told.part == part.value


@given(st.none() | st.sampled_from(Join), st.booleans(), st.booleans(), st.integers(1, 9))
def test_wishes_arrive(join: Join | None, interleaved: bool, drafts: bool, experts: int) -> None:
    """Join, number of experts, order and drafts are the same on the other side."""
    request = chat_request(
        router_service_pb2.ChatRequest,
        "hello",
        join=join.value if join else "",
        max_experts=experts,
        interleaved=interleaved,
        drafts=drafts,
    )
    read = read_constraints(request.constraints)
    assert (read.join, read.max_experts, read.drafts) == (join, experts, drafts)
    assert read.order is (Order.INTERLEAVED if interleaved else Order.LEAD_FIRST)
