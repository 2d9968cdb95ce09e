"""What the edge writes the client reads, and the other way round: nothing changes on the way."""

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering import event as inside
from tame_router.api.grpc_duration import duration
from tame_router.api.grpc_request import read_constraints, read_messages, read_sampling
from tame_router.api.grpc_response import write_event
from tame_router.chat import FinishReason, Message, Role, Sampling, Usage
from tame_router.client import event as outside
from tame_router.client.reading import read_event
from tame_router.client.request import chat_request
from tame_router.config import LimitSettings
from tame_router.errors import InvalidRequestError
from tame_router.routing.decision import (
    Constraints,
    Decision,
    ExpertProbability,
    Feature,
    Join,
    Reason,
    Stage,
)
from tame_router.v1 import chat_pb2, decision_pb2, router_service_pb2

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SPOKEN = TEXTS.filter(str.strip)
NAMES = st.sampled_from(["legal", "medical", "general", "x9", "chip-design"])
SECONDS = st.integers(0, 10**12).map(lambda us: us / 1e6)
USAGES = st.builds(
    Usage, prompt_tokens=st.integers(0, 2**40), completion_tokens=st.integers(0, 2**40)
)
SAMPLINGS = st.builds(
    Sampling,
    max_tokens=st.none() | st.integers(1, 2**31 - 1),
    temperature=st.none() | st.floats(0, 2, width=32),
    top_p=st.none() | st.floats(0, 1, width=32, exclude_min=True),
    presence_penalty=st.none() | st.floats(-2, 2, width=32),
    frequency_penalty=st.none() | st.floats(-2, 2, width=32),
    seed=st.none() | st.integers(0, 2**63 - 1),
    stop=st.lists(TEXTS.filter(bool).map(lambda t: t[:256]), max_size=16).map(tuple),
)
PROBABILITIES = st.dictionaries(NAMES, st.floats(0, 1), min_size=1, max_size=4)


def ranked(probabilities: dict[str, float]) -> tuple[ExpertProbability, ...]:
    """Write probabilities as a decision holds them; each relevance is half of one."""
    return tuple(
        ExpertProbability(expert=n, probability=p, relevance=p / 2)
        for n, p in probabilities.items()
    )


@given(st.lists(st.tuples(st.sampled_from([Role.USER, Role.ASSISTANT]), SPOKEN)), SPOKEN)
def test_conversations_arrive(earlier: list[tuple[Role, str]], question: str) -> None:
    """Roles and texts are the same on the other side."""
    messages = [Message(role=role, content=content) for role, content in earlier]
    messages.append(Message(role=Role.USER, content=question))
    request = chat_request(router_service_pb2.ChatRequest, messages)
    assert read_messages(request.messages, LimitSettings()) == tuple(messages)


@given(SAMPLINGS)
def test_sampling_arrives(sampling: Sampling) -> None:
    """Every value in range passes, and what is None stays None."""
    request = chat_request(router_service_pb2.ChatRequest, "hello", sampling=sampling)
    assert read_sampling(request.sampling) == sampling


@given(
    st.sampled_from(["temperature", "top_p", "presence_penalty", "frequency_penalty"]),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
)
def test_numbers_are_in_range_or_refused(name: str, value: float) -> None:
    """No number from outside its range gets in, whatever it is."""
    proto = chat_pb2.Sampling()
    setattr(proto, name, value)
    lowest = 0 if name in {"temperature", "top_p"} else -2
    highest = 1 if name == "top_p" else 2
    if lowest <= value <= highest and (name, value) != ("top_p", 0):
        assert getattr(read_sampling(proto), name) == value
    else:
        with pytest.raises(InvalidRequestError) as caught:
            read_sampling(proto)
        assert caught.value.field == f"sampling.{name}"


@given(NAMES, st.sets(NAMES, max_size=5), st.sets(NAMES, max_size=5))
def test_constraints_arrive(pin: str, allow: set[str], deny: set[str]) -> None:
    """The three wishes are the same on the other side."""
    request = chat_request(
        router_service_pb2.ChatRequest, "hello", expert=pin, allow=allow, deny=deny
    )
    assert read_constraints(request.constraints) == Constraints(
        pin=pin, allow=frozenset(allow), deny=frozenset(deny)
    )


@pytest.mark.parametrize("join", [decision_pb2.JOIN_UNSPECIFIED, decision_pb2.JOIN_SINGLE])
def test_a_known_join_and_a_number_of_experts_are_taken(
    join: decision_pb2.Join.ValueType,
) -> None:
    """What this server can do may be asked for."""
    proto = decision_pb2.Constraints(join=join, max_experts=3)
    assert read_constraints(proto).max_experts == 3


@given(
    PROBABILITIES,
    st.sampled_from(Stage),
    st.sampled_from(Reason),
    st.integers(0, 10**9),
    st.dictionaries(SPOKEN, st.floats(-50, 50), max_size=4),
)
def test_decisions_arrive(
    probabilities: dict[str, float],
    stage: Stage,
    reason: Reason,
    elapsed_us: int,
    features: dict[str, float],
) -> None:
    """Who, how sure, by what, why, how long, from which features, and whom else it touches."""
    decision = Decision(
        experts=ranked(probabilities)[:1],
        probabilities=ranked(probabilities),
        stage=stage,
        reason=reason,
        join=Join.SINGLE,
        language="zh-TW",
        elapsed_us=elapsed_us,
        features=tuple(Feature(text=t, weight=w) for t, w in features.items()),
        classifier_digest="ab" * 32,
        conformal_set=tuple(probabilities)[1:],
    )
    made = read_event(write_event(inside.DecisionMade(answer_id="id", decision=decision)))
    assert isinstance(made, outside.DecisionMade)
    assert made.answer_id == "id"
    assert made.decision == outside.Decision(
        experts=dict(list(probabilities.items())[:1]),
        probabilities=probabilities,
        stage=str(stage),
        reason=str(reason),
        language="zh-TW",
        elapsed=timedelta(microseconds=elapsed_us),
        features=features,
        classifier_digest="ab" * 32,
        relevances={name: p / 2 for name, p in probabilities.items()},
        conformal_set=tuple(probabilities)[1:],
    )
    assert made.decision.expert == decision.lead


@given(NAMES, NAMES, TEXTS)
def test_starts_and_deltas_arrive(expert: str, revision: str, text: str) -> None:
    """Expert, revision and every character."""
    start = inside.ExpertStart(expert=expert, revision=revision, notice=text)
    assert read_event(write_event(start)) == outside.ExpertStart(
        expert=expert, revision=revision, notice=text
    )
    delta = inside.Delta(expert=expert, revision=revision, text=text)
    assert read_event(write_event(delta)) == outside.Delta(
        expert=expert, revision=revision, text=text
    )


@given(st.sampled_from(FinishReason), USAGES, st.none() | SECONDS, SECONDS, TEXTS)
def test_ends_arrive(
    reason: FinishReason, usage: Usage, first_s: float | None, elapsed_s: float, notice: str
) -> None:
    """Reason, usage and times; a time that is absent stays absent."""
    finish = inside.ExpertFinish(
        expert="legal",
        revision="",
        finish_reason=reason,
        usage=usage,
        time_to_first_token_s=first_s,
        elapsed_s=elapsed_s,
        notice=notice,
    )
    elapsed = timedelta(seconds=elapsed_s)
    assert read_event(write_event(finish)) == outside.ExpertFinish(
        expert="legal",
        revision="",
        finish_reason=reason,
        usage=usage,
        time_to_first_token=None if first_s is None else timedelta(seconds=first_s),
        elapsed=elapsed,
        notice=notice,
    )
    final = inside.Final(finish_reason=reason, usage=usage, elapsed_s=elapsed_s)
    assert read_event(write_event(final)) == outside.Final(
        finish_reason=reason, usage=usage, elapsed=elapsed
    )


def test_a_time_keeps_its_microseconds() -> None:
    """A duration is exact to the microsecond."""
    assert duration(1.000001).nanos == 1_000


@given(st.floats(-1e6, 1e6) | st.floats(0, 2) | st.integers(0, 200_000).map(lambda n: n - 5e-7))
def test_a_time_is_the_one_that_the_library_writes(seconds: float) -> None:
    """Below zero, of days, and where rounding makes a second full."""
    expected = Duration()
    expected.FromTimedelta(timedelta(seconds=seconds))
    assert duration(seconds) == expected
