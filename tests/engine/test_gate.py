"""The gate with a real vLLM: the legal adapter against copies, harmed ones and strangers."""

from collections.abc import AsyncIterator

import pytest

from tame_router.backends.engine.state import EngineState
from tame_router.backends.vllm.backend import VllmSpec
from tame_router.backends.vllm.scoring import VllmScorer
from tame_router.catalog.evaluation import ChoiceCase, TextCase, read_evaluation
from tame_router.catalog.expert import Catalog
from tame_router.catalog.revision import Revision
from tame_router.config_registry import GateSettings
from tame_router.registry.gate.evaluation_sets import Contender, EvaluationSets
from tame_router.registry.gate.gate import Gate
from tame_router.registry.gate.report import Measure, Report
from tame_router.registry.reason import Reason
from tests.engine.conftest import COPY, ROOT

pytestmark = pytest.mark.anyio

PATIENCE_S = 300.0
"""For one token: two cores that others use too."""

SETTINGS = GateSettings(max_tokens=12, at_once=4, latency_ratio=1e6)
"""Times of a machine that others use too say nothing."""


def few_cases() -> EvaluationSets:
    """Give some choices, and short questions with a free answer: a CPU is slow at reading."""
    cases, _ = read_evaluation(ROOT / "experts/legal/evaluation.jsonl")
    choices = [case for case in cases if isinstance(case, ChoiceCase) and case.lang == "en"]
    texts = [case for case in cases if isinstance(case, TextCase) and case.lang == "en"]
    texts.sort(key=lambda case: len(case.reference))
    return EvaluationSets(own=(*choices[:6], *texts[:4]))


@pytest.fixture
async def scorer(engine: EngineState, engine_key: str) -> AsyncIterator[VllmScorer]:
    """Give what asks that vLLM."""
    scorer = VllmScorer(
        VllmSpec(
            base_url=engine.base_url,
            api_key=engine_key,
            first_token_timeout_s=PATIENCE_S,
            stall_timeout_s=PATIENCE_S,
        )
    )
    yield scorer
    await scorer.close()


async def judge(
    catalog: Catalog, scorer: VllmScorer, candidate: str, *, first: bool = False
) -> Report:
    """Ask a revision and the live legal one; `first`: and the base model instead."""
    legal = catalog.expert("legal")
    live = None if first else Contender(expert=legal, revision=legal.live_revision)
    gate = Gate(SETTINGS, reference_tokens=8)
    new = Contender(expert=legal, revision=candidate)
    return await gate.evaluate(new, live, few_cases(), scorer)


def fatal(report: Report) -> set[Reason]:
    """Give why a revision was refused."""
    return {finding.reason for finding in report.findings if finding.fatal}


async def test_an_identical_copy_passes(engine_catalog: Catalog, scorer: VllmScorer) -> None:
    """The same weights under another name are not worse than live, by any measure."""
    report = await judge(engine_catalog, scorer, COPY)
    assert report.passed, report.findings
    assert all(abs(one.difference.value) < SETTINGS.margin for one in report.comparisons)


async def test_scaled_weights_are_refused(
    engine_catalog: Catalog, scorer: VllmScorer, harmed: Revision
) -> None:
    """Three times as much of what was learnt is worse, and the report says by how much."""
    report = await judge(engine_catalog, scorer, harmed.name)
    assert Reason.WORSE_THAN_LIVE in fatal(report)
    (loss,) = [one for one in report.comparisons if one.measure is Measure.LOSS]
    assert loss.difference.high < 0


async def test_an_unknown_revision_is_refused(engine_catalog: Catalog, scorer: VllmScorer) -> None:
    """What the engine cannot load is refused, with nothing asked."""
    report = await judge(engine_catalog, scorer, "legal--ffffffffffffffff")
    assert fatal(report) == {Reason.ENGINE_REFUSED}
    assert report.cases == ()
