"""Which answers count for a canary, and as what; which questions are copied for a shadow."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tame_router.answering.event import DecisionMade, Delta, Event, ExpertFinish, Note, Part
from tame_router.answering.question import Question
from tame_router.catalog.expert import Canary, Catalog, Expert
from tame_router.catalog.revision import Revision
from tame_router.chat import FinishReason, Message, Role, Sampling, Usage
from tame_router.config_registry import CanarySettings
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendRefusedKeyError,
    BackendSilentError,
    BackendUnavailableError,
    DeadlineExceededError,
    InvalidRequestError,
    TameError,
)
from tame_router.registry.canary.outcome import FAILED
from tame_router.registry.canary.shadow import Copy
from tame_router.registry.canary.testimony import SILENT
from tame_router.registry.canary.trial import Verdict
from tame_router.registry.canary.watch import CanaryWatch
from tame_router.registry.canary.witness import MOST_OF_ONE, REMEMBERED, Witness
from tame_router.routing.decision import Decision, ExpertProbability, Join, Reason, Stage

LIVE = Revision(expert="legal", digest="1" * 64)
NEW = Revision(expert="legal", digest="2" * 64)
QUESTION = Question(
    answer_id="answer-1",
    messages=(Message(role=Role.USER, content="?"),),
    deadline=110.0,
    tenant="school",
    subject="key-1",
)
NOW = 100.0
LEGAL = Expert(
    name="legal",
    titles={"en": "Law"},
    descriptions={},
    prompt="",
    backend="local",
    live=LIVE,
    sampling=Sampling(),
    notices={},
    folder=Path(),
    canary=Canary(revision=NEW, share=0.5),
)
CATALOG = Catalog({"legal": LEGAL})
SHADOWED = Catalog(
    {"legal": replace(LEGAL, canary=Canary(revision=NEW, share=0.999_999, shadow=True))}
)


@pytest.fixture
def told() -> list[Verdict]:
    """Give where verdicts go."""
    return []


@pytest.fixture
def watch(told: list[Verdict]) -> CanaryWatch:
    """Give a watch over one canary of the legal expert."""
    watch = CanaryWatch(CanarySettings(), lambda _, __, verdict: told.append(verdict))
    watch.begin("legal", LIVE.name, NEW.name)
    return watch


def counted(watch: CanaryWatch) -> tuple[int, int]:
    """Give the answers of the live one and of the canary that were seen."""
    standing = watch.standing("legal")
    assert standing is not None
    return standing.live_answers, standing.canary_answers


def asked(number: int = 1, **changed: object) -> Question:
    """Give a question of a conversation of its own."""
    messages = (Message(role=Role.USER, content=f"? ({number})"),)
    values: dict[str, object] = {"messages": messages, "answer_id": f"answer-{number}", **changed}
    return msgspec.structs.replace(QUESTION, **values)


def decided(join: Join = Join.SINGLE) -> DecisionMade:
    """Give the decision for the legal expert."""
    belief = ExpertProbability(expert="legal", probability=1)
    decision = Decision(
        experts=(belief,),
        probabilities=(belief,),
        stage=Stage.FAST,
        reason=Reason.MOST_PROBABLE,
        join=join,
        language="en",
        elapsed_us=1,
    )
    return DecisionMade(answer_id="answer-1", decision=decision)


def finish(revision: str) -> ExpertFinish:
    """Give the end of an answer."""
    return ExpertFinish(
        expert="legal",
        revision=revision,
        finish_reason=FinishReason.STOP,
        usage=Usage(prompt_tokens=1, completion_tokens=9),
        time_to_first_token_s=0.1,
        elapsed_s=1.0,
        notice="",
    )


def written(revision: str) -> list[Event]:
    """Give the events of a whole answer."""
    words = [Delta(expert="legal", revision=revision, text=text) for text in ("a", "b")]
    return [decided(), *words, finish(revision)]


def test_the_first_few_answers_of_a_conversation_count(watch: CanaryWatch) -> None:
    """Of each so many do, however many conversations there are; the oldest are forgotten."""
    witness = Witness(watch)

    def heard(number: int) -> bool:
        return witness.hear(asked(number), CATALOG, NOW) is not SILENT

    assert [heard(-1) for _ in range(MOST_OF_ONE + 2)] == [*[True] * MOST_OF_ONE, False, False]
    assert heard(-2)
    for number in range(REMEMBERED):
        heard(number)
    assert heard(-1)


def test_nothing_is_heard_while_there_is_no_canary() -> None:
    """An answer then costs a look."""
    assert Witness().hear(QUESTION, CATALOG, NOW) is SILENT
    idle = CanaryWatch(CanarySettings(), lambda *_: None)
    assert Witness(idle).hear(QUESTION, CATALOG, NOW) is SILENT
    Witness().dislike("answer-1", "school", "legal")


def test_ends_and_failures_are_told(watch: CanaryWatch) -> None:
    """An end, a note that says why an expert left, and an error, each of its revision."""
    heard = Witness(watch).hear(QUESTION, CATALOG, NOW)
    heard.see(finish(LIVE.name))
    heard.see(finish(NEW.name))
    note = Note(
        expert="legal", revision=NEW.name, part=Part.LEAD, reason="BACKEND_SILENT", message="silent"
    )
    heard.see(note)
    assert counted(watch) == (1, 2)


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BackendUnavailableError("gone"), True),
        (DeadlineExceededError("too late"), True),
        (BackendOverloadedError("full"), False),
        (InvalidRequestError("wrong"), False),
    ],
)
def test_what_the_backend_is_to_blame_for_counts(
    watch: CanaryWatch, error: TameError, counts: bool
) -> None:
    """Its failures do, and deadlines it lets pass; the caller's faults, and want of room, not."""
    error.metadata.update(expert="legal", revision=NEW.name)
    Witness(watch).hear(QUESTION, CATALOG, NOW).failed(error)
    assert counted(watch) == (0, int(counts))


def test_bad_ratings_of_answers_that_counted_end_a_canary(
    watch: CanaryWatch, told: list[Verdict]
) -> None:
    """Of many persons with keys of their own; one that repeats itself counts a few times."""
    witness = Witness(watch, ratings_per_key=5)

    def rated(number: int, user: str, key: str = "key-1") -> None:
        heard = witness.hear(asked(number, user=user, subject=key), CATALOG, NOW)
        for event in written(NEW.name):
            heard.see(event)
        witness.dislike(f"answer-{number}", "school", "legal")

    for number in range(40):
        rated(number, "wang")
    assert told == []
    for number in range(40, 80):
        rated(number, str(number))
    assert told == []
    for number in range(80, 110):
        rated(number, str(number), f"key-{number}")
    assert told == [Verdict.ROLL_BACK]


def test_of_several_experts_none_is_rated(watch: CanaryWatch, told: list[Verdict]) -> None:
    """Nobody knows whose words were meant."""
    witness = Witness(watch)
    for number in range(60):
        heard = witness.hear(asked(number, user=str(number)), CATALOG, NOW)
        heard.see(decided(Join.PANEL))
        heard.see(finish(NEW.name))
        witness.dislike(f"answer-{number}", "school", "legal")
    assert told == []


def test_a_question_is_copied_once_it_is_answered(watch: CanaryWatch) -> None:
    """With the answer, how it ended, and the time that the caller gave."""
    watch.begin("legal", LIVE.name, NEW.name, shadow=True)
    offered: list[Copy] = []
    heard = Witness(watch, offered.append).hear(QUESTION, SHADOWED, NOW)
    for event in written(LIVE.name):
        assert offered == []
        heard.see(event)
    (copy,) = offered
    assert (copy.expert.live_revision, copy.text, copy.time_s) == (NEW.name, "ab", 10.0)
    assert (copy.question, copy.decision.lead) == (QUESTION, "legal")
    assert not copy.outcome.bad
    heard.failed(BackendUnavailableError("gone"))  # it is copied once
    assert len(offered) == 1


def test_nothing_is_copied_once_the_router_stops(watch: CanaryWatch) -> None:
    """Also of an answer that was under way."""
    watch.begin("legal", LIVE.name, NEW.name, shadow=True)
    offered: list[Copy] = []
    witness = Witness(watch, offered.append)
    heard = witness.hear(QUESTION, SHADOWED, NOW)
    witness.end()
    for event in written(LIVE.name):
        heard.see(event)
    assert offered == []


def test_a_question_that_failed_is_copied_too(watch: CanaryWatch) -> None:
    """Else only what the live one can do would be compared; not where the backend is too busy."""
    watch.begin("legal", LIVE.name, NEW.name, shadow=True)
    offered: list[Copy] = []
    witness = Witness(watch, offered.append)
    for number, error in enumerate((BackendFailedError("500"), BackendOverloadedError("no"))):
        heard = witness.hear(asked(number, deadline=None), SHADOWED, NOW)
        heard.see(decided())
        heard.failed(error)
    (copy,) = offered
    assert (copy.outcome, copy.text, copy.time_s) == (FAILED, "", None)


@pytest.mark.parametrize(
    ("error", "words", "copies"),
    [
        (AdapterNotLoadedError("not there"), [], 0),
        (BackendRefusedKeyError("no"), [], 0),
        (DeadlineExceededError("too late"), [], 0),
        (DeadlineExceededError("too late"), ["a"], 1),
        (BackendSilentError("silent"), [], 0),
        (BackendSilentError("silent"), ["a"], 0),
        (BackendUnavailableError("503"), [], 0),
        (BackendFailedError("500"), [], 1),
    ],
)
def test_a_pair_is_dropped_whichever_of_it_a_replica_failed(
    watch: CanaryWatch, error: TameError, words: list[str], copies: int
) -> None:
    """For what a copy would be dropped, a live failure is not compared with a copy either."""
    watch.begin("legal", LIVE.name, NEW.name, shadow=True)
    offered: list[Copy] = []
    heard = Witness(watch, offered.append).hear(QUESTION, SHADOWED, NOW)
    heard.see(decided())
    for text in words:
        heard.see(Delta(expert="legal", revision=LIVE.name, text=text))
    heard.failed(error)
    assert len(offered) == copies


def test_what_several_experts_answer_is_not_copied(watch: CanaryWatch) -> None:
    """Nor what a canary's catalog knows, nor what a proven shadow would be asked."""
    watch.begin("legal", LIVE.name, NEW.name, shadow=True)
    offered: list[Copy] = []
    witness = Witness(watch, offered.append)
    proven = replace(LEGAL, canary=Canary(revision=NEW, share=0.9, shadow=True, proven=True))
    for number, (join, catalog) in enumerate(
        [
            (Join.PANEL, SHADOWED),
            (Join.SINGLE, CATALOG),
            (Join.SINGLE, Catalog({"legal": proven})),
            (Join.SINGLE, Catalog({})),
        ]
    ):
        heard = witness.hear(asked(number), catalog, NOW)
        heard.see(decided(join))
        heard.see(finish(LIVE.name))
    assert offered == []
