"""The guard between join and caller: what it converts, counts, and lets pass."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from tame_router.answering.event import DecisionMade, Delta, Event, ExpertFinish, Final
from tame_router.answering.guard import Guard, prepare
from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog
from tame_router.chat import (
    FinishReason,
    Format,
    Guarding,
    Message,
    ResponseFormat,
    Role,
    Shape,
    ToolCallDelta,
    Usage,
)
from tame_router.routing.decision import Decision, ExpertProbability, Join, Reason, Stage
from tame_router.telemetry import instrument
from tame_router.telemetry.metric import Metrics
from tame_router.telemetry.recorder import Recorder
from tests.answering.conftest import Events

pytestmark = pytest.mark.anyio

QUESTION = Question(
    answer_id="id", messages=(Message(role=Role.USER, content="頭髮掉很多怎麼辦？"),)
)
FINAL = Final(finish_reason=FinishReason.STOP, usage=Usage(), elapsed_s=0.1)


@pytest.fixture
def metrics() -> Metrics:
    """Give metrics that nothing was written to."""
    return Metrics()


def found(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Give what was counted, by the labels."""
    wanted = {instrument.GUARD_CHARACTERS, instrument.GUARD_SIMPLIFIED}
    return {
        tuple(each.labels.values()): each.value
        for known, series in metrics.read()
        if known in wanted
        for each in series
    }


def decided(language: str = "zh-TW") -> DecisionMade:
    """Give a decision for a question in a language."""
    belief = ExpertProbability(expert="medical", probability=1)
    return DecisionMade(
        answer_id="id",
        decision=Decision(
            experts=(belief,),
            probabilities=(belief,),
            stage=Stage.FAST,
            reason=Reason.MOST_PROBABLE,
            join=Join.SINGLE,
            language=language,
            elapsed_us=1,
        ),
    )


def delta(text: str, expert: str = "medical", choice: int = 0) -> Delta:
    """Give a piece of an answer."""
    return Delta(expert=expert, revision=f"{expert}--1", text=text, choice=choice)


def finish(expert: str = "medical") -> ExpertFinish:
    """Give the end of an expert."""
    return ExpertFinish(
        expert=expert,
        revision=f"{expert}--1",
        finish_reason=FinishReason.STOP,
        usage=Usage(),
        time_to_first_token_s=None,
        elapsed_s=0.1,
        notice="",
    )


async def passed(
    guard: Guard,
    events: Events,
    *sent: Event,
    language: str = "zh-TW",
    metrics: Metrics | None = None,
) -> list[Event]:
    """Send events through a guard, behind a decision, and give those that came out."""
    Recorder(metrics).begin("grpc", "StreamChat", {})
    for event in (decided(language), *sent):
        await guard.emit(event)
    return events.seen[1:]


def text(events: list[Event], **wanted: object) -> str:
    """Put the text of some deltas together."""
    return "".join(
        event.text
        for event in events
        if isinstance(event, Delta) and all(getattr(event, k) == v for k, v in wanted.items())
    )


async def test_words_cut_in_two_are_converted(
    catalog: Catalog, events: Events, metrics: Metrics
) -> None:
    """What waits comes before the expert's end, and the numbers are the expert's."""
    guard = Guard(Guarding.CONVERT, catalog, QUESTION, events.emit)
    seen = await passed(
        guard, events, delta("头"), delta("发很"), delta("长"), finish(), FINAL, metrics=metrics
    )
    assert seen == [
        delta("頭髮很"),
        delta("長"),
        msgspec.structs.replace(finish(), simplified=3, looked_at=4),
        FINAL,
    ]
    assert found(metrics) == {("medical",): 4, ("medical", "convert"): 3}


async def test_counting_changes_and_delays_nothing(
    catalog: Catalog, events: Events, metrics: Metrics
) -> None:
    """Events come out at once and unchanged; what would have changed is known at the end."""
    guard = Guard(Guarding.COUNT, catalog, QUESTION, events.emit)
    sent: list[Event] = [delta("头"), delta("发很"), delta("长"), finish(), FINAL]
    Recorder(metrics).begin("grpc", "StreamChat", {})
    for number, event in enumerate([decided(), *sent]):
        await guard.emit(event)
        counted = (
            msgspec.structs.replace(event, simplified=3, looked_at=4)
            if isinstance(event, ExpertFinish)
            else event
        )
        assert events.seen[number] == counted
    assert found(metrics) == {("medical",): 4, ("medical", "count"): 3}


async def test_off_is_off(catalog: Catalog, events: Events, metrics: Metrics) -> None:
    """Nothing is changed, nothing counted."""
    guard = Guard(Guarding.OFF, catalog, QUESTION, events.emit)
    assert (
        text(await passed(guard, events, delta("头发"), finish(), FINAL, metrics=metrics)) == "头发"
    )
    assert found(metrics) == {}


async def test_an_expert_may_say_otherwise(catalog: Catalog, events: Events) -> None:
    """What `expert.yaml` says wins over the service's setting, for that expert alone."""
    other = replace(catalog.expert("medical"), guarding=Guarding.CONVERT)
    mixed = Catalog({**catalog.experts, "medical": other})
    guard = Guard(Guarding.OFF, mixed, QUESTION, events.emit)
    sent = (delta("头发"), delta("头发", "legal"), finish(), finish("legal"), FINAL)
    seen = await passed(guard, events, *sent)
    assert text(seen, expert="medical") == "頭髮"
    assert text(seen, expert="legal") == "头发"


async def test_experts_and_choices_are_texts_of_their_own(catalog: Catalog, events: Events) -> None:
    """Pieces of different answers that come in turn never make a word together."""
    guard = Guard(Guarding.CONVERT, catalog, QUESTION, events.emit)
    pieces = [
        delta("头"),
        delta("他发", choice=1),
        delta("皇", "legal"),
        delta("发"),
        delta("后", "legal"),
    ]
    pieces += [delta("展", choice=1), delta("说", "legal")]
    seen = await passed(guard, events, *pieces, finish(), finish("legal"), FINAL)
    assert text(seen, expert="medical", choice=0) == "頭髮"
    assert text(seen, expert="medical", choice=1) == "他發展"
    assert text(seen, expert="legal") == "皇后說"
    assert all(event.text for event in seen if isinstance(event, Delta))


@pytest.mark.parametrize(
    ("language", "asked"),
    [
        ("zh-CN", "头发掉很多怎么办？"),
        ("zh-TW", "頭髮掉很多怎麼辦？請用簡體中文回答。"),
        ("zh-TW", "請把這段話翻譯成簡體字"),
        ("en", "Why do I lose hair? Answer in Simplified Chinese."),
    ],
)
async def test_who_reads_simplified_gets_it(
    catalog: Catalog, events: Events, metrics: Metrics, language: str, asked: str
) -> None:
    """Answers to those who write Simplified, or ask for it, are neither changed nor counted."""
    question = msgspec.structs.replace(QUESTION, messages=(Message(role=Role.USER, content=asked),))
    guard = Guard(Guarding.CONVERT, catalog, question, events.emit)
    seen = await passed(
        guard, events, delta("头发"), finish(), FINAL, language=language, metrics=metrics
    )
    assert text(seen) == "头发"
    assert found(metrics) == {}


@pytest.mark.parametrize(
    "asked",
    [
        "請不要用簡體字回答",
        "請勿使用簡體中文",
        "簡體字是什麼？",
        "Don't answer in Simplified Chinese.",
    ],
)
async def test_naming_simplified_is_not_asking_for_it(
    catalog: Catalog, events: Events, asked: str
) -> None:
    """Who forbids Simplified, or asks about it, reads Traditional."""
    question = msgspec.structs.replace(QUESTION, messages=(Message(role=Role.USER, content=asked),))
    guard = Guard(Guarding.CONVERT, catalog, question, events.emit)
    assert text(await passed(guard, events, delta("头发"), finish(), FINAL)) == "頭髮"


async def test_json_passes(catalog: Catalog, events: Events) -> None:
    """An answer that is held to JSON goes to a program, which reads it as it was written."""
    shape = Shape(response_format=ResponseFormat(format=Format.JSON_OBJECT))
    guard = Guard(
        Guarding.CONVERT, catalog, msgspec.structs.replace(QUESTION, shape=shape), events.emit
    )
    assert text(await passed(guard, events, delta('{"头发": 1}'), finish())) == '{"头发": 1}'


async def test_calls_and_probabilities_pass(catalog: Catalog, events: Events) -> None:
    """They come out as they are, behind the text that waited."""
    call = ToolCallDelta(index=0, id="c", name="look", arguments='{"q": "头发"}')
    calling = msgspec.structs.replace(delta(""), tool_calls=(call,))
    likely = msgspec.structs.replace(delta("头发"), logprobs=b"[]")
    guard = Guard(Guarding.CONVERT, catalog, QUESTION, events.emit)
    seen = await passed(guard, events, delta("头发"), calling, delta("说"), likely, finish())
    ended = msgspec.structs.replace(finish(), simplified=3, looked_at=3)
    assert seen == [delta("頭髮"), calling, delta("說"), likely, ended]


async def test_what_waits_of_a_broken_answer_is_given_out(catalog: Catalog, events: Events) -> None:
    """After a failure no character that the expert wrote is missing."""
    guard = Guard(Guarding.CONVERT, catalog, QUESTION, events.emit)
    await passed(guard, events, delta("他的头"))
    await guard.flush()
    assert text(events.seen) == "他的頭"
    await guard.flush()
    assert len(events.seen) == 3


async def test_preparing_takes_what_answers_need(catalog: Catalog) -> None:
    """It may be called for any setting, again and again."""
    settings: Mapping[Guarding, Catalog] = dict.fromkeys(Guarding, catalog)
    for guarding, experts in settings.items():
        prepare(guarding, experts)
