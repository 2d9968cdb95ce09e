"""The gate, over HTTP against a fake vLLM that says how likely tokens are."""

import pytest

from tame_router.backends.vllm.backend import VllmSpec
from tame_router.backends.vllm.scoring import VllmScorer
from tame_router.config_registry import GateSettings
from tame_router.errors import BackendUnavailableError, DeadlineExceededError
from tame_router.registry.gate.evaluation_sets import Contender, EvaluationSets
from tame_router.registry.gate.gate import Gate
from tame_router.registry.gate.report import Report, Verdict
from tame_router.registry.reason import Reason
from tests.fakes.scoring_vllm import ScoringVllm
from tests.fakes.vllm import BASE_MODEL
from tests.registry.gate.conftest import CANDIDATE, LEGAL, LIVE, OWN, choice, free

pytestmark = pytest.mark.anyio

NEW = Contender(expert=LEGAL, revision=CANDIDATE)
TODAY = Contender(expert=LEGAL, revision=LIVE)
SETS = EvaluationSets(own=OWN)
# Times of a busy machine say nothing here: they are judged in `test_comparison`.
SETTINGS = GateSettings(latency_ratio=1000)


def reasons(report: Report, *, fatal: bool = True) -> set[Reason]:
    """Give the reasons of a report's findings."""
    return {finding.reason for finding in report.findings if finding.fatal is fatal}


async def test_an_equal_revision_passes(scorer: VllmScorer) -> None:
    """What answers as the live one does passes, without a finding, and nothing differs."""
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert report.passed
    assert report.findings == ()
    assert [one.verdict for one in report.comparisons] == [Verdict.NOT_WORSE] * 2
    assert all(one.difference.value == 0 for one in report.comparisons)
    assert report.purity is not None
    assert report.purity.candidate == 0
    assert (report.candidate, report.live) == (CANDIDATE, LIVE)
    assert len(report.cases) == len(OWN)


async def test_a_revision_that_finds_references_less_likely_is_refused(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """A loss that grows by more than the margin is worse than live."""
    scoring.losses = {LIVE: 2.0, CANDIDATE: 2.2}
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert not report.passed
    assert reasons(report) == {Reason.WORSE_THAN_LIVE}
    (finding,) = report.findings
    assert "loss 2.200 against 2.000" in finding.message


async def test_a_revision_within_the_margin_passes(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """A loss that grows by less than the margin is no reason to refuse."""
    scoring.losses = {LIVE: 2.0, CANDIDATE: 2.05}
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert report.passed


async def test_a_revision_that_chooses_wrongly_is_refused(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """The probability of right choices is what counts."""
    scoring.letters = {CANDIDATE: "B"}
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert reasons(report) == {Reason.WORSE_THAN_LIVE}


@pytest.mark.parametrize("case", [choice(90, must_pass=True), free(90, must_pass=True)])
async def test_a_lost_case_that_must_pass_is_named(
    scoring: ScoringVllm, scorer: VllmScorer, case: object
) -> None:
    """One case is enough, where the live one passes it; the message names it."""
    scoring.letters = {CANDIDATE: "B"}
    scoring.texts = {CANDIDATE: "不知道。"}
    sets = EvaluationSets(own=(*OWN, case))  # type: ignore[arg-type]
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, sets, scorer)
    assert Reason.MUST_PASS_FAILED in reasons(report)
    assert any(case.id in finding.message for finding in report.findings)  # type: ignore[attr-defined]


async def test_what_live_fails_need_not_be_passed(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """A case that the live one fails too is no reason to refuse."""
    scoring.letters = {LIVE: "B", CANDIDATE: "B"}
    sets = EvaluationSets(own=(*OWN, choice(90, must_pass=True)))
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, sets, scorer)
    assert report.passed


async def test_forbidden_words_are_worse_than_silence(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """An answer with a forbidden fact is worth nothing, whatever else it holds."""
    scoring.texts = {CANDIDATE: "押金就是罰金。"}
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert reasons(report) == {Reason.WORSE_THAN_LIVE}


async def test_simplified_chinese_is_refused(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """Answers in Simplified characters are refused, with the share in the message."""
    scoring.texts = {CANDIDATE: "房东应返还押金给承租人，依租约办理。"}
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert reasons(report) == {Reason.SIMPLIFIED_CHINESE}


async def test_simplified_chinese_of_both_is_told_and_no_reason_to_refuse(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """A copy of a live revision that leaks passes too; the report notes it."""
    scoring.text = "房东应返还押金给承租人，依租约办理。"
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert report.passed
    assert reasons(report, fatal=False) == {Reason.SIMPLIFIED_CHINESE}


async def test_harm_to_others_is_refused(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """Being worse on another expert's questions than the live one is refused, by its name."""
    scoring.letters = {CANDIDATE: "B"}
    sets = EvaluationSets(own=tuple(free(n) for n in range(10)), others={"medical": OWN})
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, sets, scorer)
    assert reasons(report) == {Reason.HARMS_OTHER_DOMAIN}
    assert "medical" in report.findings[0].message


async def test_a_first_adapter_is_compared_with_the_base_model(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """It must not be worse than the base model at home; what it costs elsewhere is a note."""
    scoring.losses = {BASE_MODEL: 3.0, CANDIDATE: 2.0}
    scoring.letters = {CANDIDATE: "B"}
    sets = EvaluationSets(own=tuple(free(n) for n in range(10)), others={"medical": OWN})
    report = await Gate(SETTINGS).evaluate(NEW, None, sets, scorer)
    assert report.passed
    assert report.live == ""
    assert reasons(report, fatal=False) == {Reason.HARMS_OTHER_DOMAIN}
    scoring.losses = {BASE_MODEL: 2.0, CANDIDATE: 3.0}
    report = await Gate(SETTINGS).evaluate(NEW, None, sets, scorer)
    assert reasons(report) == {Reason.WORSE_THAN_LIVE}


async def test_what_an_upload_brings_hides_nothing(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """Cases at which it is as good thin out no others: each set is judged by itself."""
    scoring.losses = {LIVE: 2.0, CANDIDATE: 2.2}
    sets = EvaluationSets(own=OWN, brought=tuple(choice(n) for n in range(100, 150)))
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, sets, scorer)
    assert reasons(report) == {Reason.WORSE_THAN_LIVE}
    assert [one.brought for one in report.comparisons] == [False, False, True]
    assert sum(case.brought for case in report.cases) == 50
    scoring.losses, scoring.letters = {}, {CANDIDATE: "B"}
    sets = EvaluationSets(own=tuple(free(n) for n in range(10)), brought=sets.brought)
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, sets, scorer)
    assert reasons(report) == {Reason.WORSE_THAN_LIVE}
    assert "cases of the upload" in report.findings[0].message


async def test_too_few_cases_are_refused(scorer: VllmScorer) -> None:
    """Nine cases say nothing, and what an upload brings makes them no more."""
    sets = EvaluationSets(own=OWN[:9], brought=OWN)
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, sets, scorer)
    assert reasons(report) == {Reason.TOO_FEW_CASES}


async def test_a_revision_that_the_engine_does_not_know_is_refused(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """It cannot be loaded while the live one answers: the revision is at fault."""
    scoring.adapters = (LIVE,)
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert reasons(report) == {Reason.ENGINE_REFUSED}
    assert report.cases == ()


async def test_a_revision_whose_probabilities_are_no_numbers_is_refused(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """Weights that overflow make an engine answer what is no JSON: the revision is at fault."""
    scoring.nonsense = {CANDIDATE}
    report = await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    assert reasons(report) == {Reason.ENGINE_REFUSED}


async def test_an_engine_that_is_down_is_no_fault_of_the_revision(scoring: ScoringVllm) -> None:
    """Nobody answers: an error that says try again, and no report."""
    scorer = VllmScorer(VllmSpec(base_url="http://127.0.0.1:9/v1", base_model=BASE_MODEL))
    with pytest.raises(BackendUnavailableError):
        await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)
    await scorer.close()


async def test_an_engine_that_begins_to_refuse_all_is_no_fault_of_the_revision(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """The live one is not served either: an error, and no report."""
    scoring.starting = True
    with pytest.raises(BackendUnavailableError):
        await Gate(SETTINGS).evaluate(NEW, TODAY, SETS, scorer)


async def test_an_evaluation_ends_in_time(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """An engine that takes for ever is given up, and the message names the settings."""
    scoring.frozen = True
    with pytest.raises(DeadlineExceededError, match="timeout_s"):
        await Gate(GateSettings(timeout_s=0.2)).evaluate(NEW, TODAY, SETS, scorer)
    scoring.frozen = False


async def test_the_same_seed_asks_the_same(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """Two evaluations ask for the same probabilities, and report the same but for times."""
    gate = Gate(GateSettings(most_cases=10, most_other_cases=10, latency_ratio=1000, at_once=1))
    sets = EvaluationSets(own=OWN, others={"medical": OWN})
    bodies = []
    for _ in range(2):
        report = await gate.evaluate(NEW, TODAY, sets, scorer)
        asked = [one.body for one in scoring.received if one.path == "/v1/completions"]
        bodies.append((sorted(map(str, asked)), [case.id for case in report.cases]))
        scoring.received.clear()
    assert bodies[0] == bodies[1]
    assert len(bodies[0][1]) == 20
