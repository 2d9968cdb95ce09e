"""The watch over all experts' canaries."""

import pytest

from tame_router.answering.event import ExpertFinish
from tame_router.chat import FinishReason, Usage
from tame_router.config_registry import CanarySettings
from tame_router.registry.canary.outcome import FAILED, Outcome, outcome_of
from tame_router.registry.canary.trial import Verdict
from tame_router.registry.canary.watch import CanaryWatch

FINE = Outcome(bad=False, token_s=0.02)


@pytest.fixture
def told() -> list[tuple[str, str, Verdict]]:
    """Give where verdicts go."""
    return []


@pytest.fixture
def watch(told: list[tuple[str, str, Verdict]]) -> CanaryWatch:
    """Give a watch over one canary of the legal expert."""
    watch = CanaryWatch(CanarySettings(), lambda *verdict: told.append(verdict))
    watch.begin("legal", "old", "new")
    return watch


def test_a_bad_canary_is_told_once(
    watch: CanaryWatch, told: list[tuple[str, str, Verdict]]
) -> None:
    """The verdict is told when it falls, and not again."""
    for _ in range(40):
        watch.observe("legal", "old", FINE)
        watch.observe("legal", "new", FAILED)
    assert told == [("legal", "new", Verdict.ROLL_BACK)]


def test_a_good_canary_is_told(watch: CanaryWatch, told: list[tuple[str, str, Verdict]]) -> None:
    """The other verdict is told too."""
    for _ in range(150):
        watch.observe("legal", "old", FINE)
        watch.observe("legal", "new", FINE)
    assert told == [("legal", "new", Verdict.GOOD)]


def test_without_automatic_nothing_is_told(told: list[tuple[str, str, Verdict]]) -> None:
    """The verdict stands to be looked at, and nobody is called."""
    watch = CanaryWatch(CanarySettings(automatic=False), lambda *verdict: told.append(verdict))
    watch.begin("legal", "old", "new")
    for _ in range(40):
        watch.observe("legal", "old", FINE)
        watch.observe("legal", "new", FAILED)
    standing = watch.standing("legal")
    assert told == []
    assert standing is not None
    assert standing.verdict is Verdict.ROLL_BACK


def test_what_has_no_canary_is_dropped(watch: CanaryWatch) -> None:
    """Other experts' answers, and those of revisions that are neither, count nowhere."""
    watch.observe("medical", "old", FAILED)
    watch.observe("legal", "older", FAILED)
    standing = watch.standing("legal")
    assert standing is not None
    assert (standing.live_answers, standing.canary_answers) == (0, 0)
    assert watch.standing("medical") is None


def test_a_shadow_counts_in_pairs_alone(
    watch: CanaryWatch, told: list[tuple[str, str, Verdict]]
) -> None:
    """Beside a shadow an answer by itself says nothing, nor does a rating, nor an older copy."""
    watch.begin("legal", "old", "new", shadow=True)
    watch.observe("legal", "old", FAILED)
    watch.dislike("legal", "old", "new", 0.5)
    watch.compare("legal", "older", FINE, FAILED)
    standing = watch.standing("legal")
    assert standing is not None
    assert (standing.shadow, standing.live_answers, standing.canary_answers) == (True, 0, 0)
    for _ in range(40):
        watch.compare("legal", "new", FINE, FAILED)
    assert told == [("legal", "new", Verdict.ROLL_BACK)]


def test_a_canary_takes_no_copies(watch: CanaryWatch) -> None:
    """A shadow that has become a canary meanwhile is judged by its answers."""
    watch.compare("legal", "new", FINE, FAILED)
    watch.compare("medical", "new", FINE, FAILED)
    standing = watch.standing("legal")
    assert standing is not None
    assert standing.canary_answers == 0


def test_bad_ratings_are_told(watch: CanaryWatch, told: list[tuple[str, str, Verdict]]) -> None:
    """Those of the canary's answers, far more than its share, end it; others count nowhere."""
    watch.dislike("medical", "new", "new", 0.1)
    watch.dislike("legal", "older", "new", 0.1)
    watch.dislike("legal", "new", "older", 0.1)
    for _ in range(20):
        watch.dislike("legal", "new", "new", 0.1)
    assert told == [("legal", "new", Verdict.ROLL_BACK)]
    standing = watch.standing("legal")
    assert standing is not None
    assert standing.ground == "more bad ratings"


def test_the_same_canary_goes_on_and_another_begins_anew(watch: CanaryWatch) -> None:
    """Beginning again what is watched keeps its answers; another canary starts with none."""
    watch.observe("legal", "new", FINE)
    watch.begin("legal", "old", "new")
    standing = watch.standing("legal")
    assert standing is not None
    assert standing.canary_answers == 1
    watch.begin("legal", "old", "newer")
    standing = watch.standing("legal")
    assert standing is not None
    assert (standing.canary, standing.canary_answers) == ("newer", 0)


def test_an_ended_canary_is_watched_no_longer(watch: CanaryWatch) -> None:
    """After its end nothing stands, and answers are dropped; ending twice is no fault."""
    watch.end("legal")
    watch.end("legal")
    watch.observe("legal", "new", FINE)
    assert watch.standing("legal") is None


def finish(**changed: object) -> ExpertFinish:
    """Give an answer of 11 tokens that ended well."""
    values: dict[str, object] = {
        "expert": "legal",
        "revision": "new",
        "finish_reason": FinishReason.STOP,
        "usage": Usage(prompt_tokens=5, completion_tokens=11),
        "time_to_first_token_s": 0.5,
        "elapsed_s": 1.5,
        "notice": "",
    }
    return ExpertFinish(**{**values, **changed})  # type: ignore[arg-type]


def test_an_answer_has_its_time_a_token() -> None:
    """The first token's wait is left out."""
    assert outcome_of(finish()) == Outcome(bad=False, token_s=0.1)


def test_an_answer_at_its_length_is_not_bad() -> None:
    """The caller wanted no more."""
    assert not outcome_of(finish(finish_reason=FinishReason.LENGTH)).bad


def test_bad_answers_are_bad() -> None:
    """Empty, filtered, or in Simplified Chinese."""
    empty = outcome_of(finish(time_to_first_token_s=None, usage=Usage()))
    assert empty == FAILED
    assert outcome_of(finish(finish_reason=FinishReason.CONTENT_FILTER)).bad
    leaking = outcome_of(finish(simplified=1, looked_at=40))
    assert (leaking.bad, leaking.leak) == (True, 0.5)


def test_how_simplified_an_answer_is() -> None:
    """From none to altogether, by the share of its characters; unknown where nobody looked."""
    assert outcome_of(finish()).leak is None
    assert outcome_of(finish(looked_at=100)).leak == 0
    assert outcome_of(finish(looked_at=100, simplified=90)).leak == 1
