"""The gate: asks a new revision and what answers today the same questions, and decides.

What the engine does wrong by itself (it is down, overloaded, silent) is an error, and no
fault of the revision: ask again later. What it does wrong only with the new revision is.
"""

import asyncio
from dataclasses import replace
from typing import Final

from tame_router.chat import Message, Role, Sampling
from tame_router.config_registry import GateSettings
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendProtocolError,
    DeadlineExceededError,
    InvalidRequestError,
    TameError,
)
from tame_router.registry.finding import Finding
from tame_router.registry.gate.comparison import compare, measure_latency, measure_purity
from tame_router.registry.gate.evaluation_sets import Contender, EvaluationSets
from tame_router.registry.gate.examination import CaseResult, Examination
from tame_router.registry.gate.judgement import (
    LEAST_CASES,
    judge_cases,
    judge_comparison,
    judge_latency,
    judge_memory,
    judge_purity,
    refused,
)
from tame_router.registry.gate.probe import EngineProbe
from tame_router.registry.gate.report import Memory, Report, report_cases

SEED: Final = 20_261_128
"""Of lots and intervals: the same revision has the same questions and the same draws."""

REFERENCE_TOKENS: Final = 32
"""Each token read costs a request of its own: more of them cost time, fewer a wider interval."""

_REFUSALS: Final = (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendProtocolError,
    InvalidRequestError,
)


class Gate:
    """Decides whether a revision may be published.

    Args:
        settings: What it must reach.
        seed: Of lots and intervals.
        reference_tokens: Tokens of a reference that are read, drawn by lot where it is longer,
            ≥ 4; on other experts' sets, of which there are more, a quarter of them.
    """

    def __init__(
        self,
        settings: GateSettings,
        *,
        seed: int = SEED,
        reference_tokens: int = REFERENCE_TOKENS,
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._reference_tokens = reference_tokens

    async def evaluate(
        self,
        candidate: Contender,
        live: Contender | None,
        sets: EvaluationSets,
        engine: EngineProbe,
    ) -> Report:
        """Ask, compare and judge.

        Args:
            candidate: The new revision, under its expert's prompt.
            live: What answers today; None: nothing of the expert's, so that the base model
                without adapter stands for it, under the same prompt.
            sets: The questions.
            engine: One that has both, or loads them when they are named.

        Raises:
            BackendError: When the engine cannot be asked, whatever the revision.
            DeadlineExceededError: When it takes longer than `timeout_s`.
        """
        live = live or Contender(expert=candidate.expert)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                report = await self._evaluate(candidate, live, sets, engine, began)
        except TimeoutError:
            raise DeadlineExceededError(
                f"the evaluation of {candidate.revision} took longer than"
                f" {self._settings.timeout_s:g} s; ask fewer cases (most_cases), or give it more"
                " time (timeout_s)"
            ) from None
        return report

    async def _evaluate(
        self,
        candidate: Contender,
        live: Contender,
        sets: EvaluationSets,
        engine: EngineProbe,
        began: float,
    ) -> Report:
        settings = self._settings
        examination = Examination(
            engine=engine,
            candidate=candidate,
            live=live,
            max_tokens=settings.max_tokens,
            reference_tokens=self._reference_tokens,
            at_once=settings.at_once,
            seed=self._seed,
        )
        await _say_something(engine, live)
        before = await engine.memory_bytes()
        results: tuple[CaseResult, ...] = ()
        findings: list[Finding] = []
        try:
            await _say_something(engine, candidate)
            drawn = sets.drawn(settings.most_cases, settings.most_other_cases, self._seed)
            results = await examination.ask(drawn)
        except (ExceptionGroup, TameError) as raised:
            error = _first(raised)
            if not isinstance(error, _REFUSALS):
                raise error from None
            # Is it the engine, or is it the revision? One that is ill raises here.
            await _say_something(engine, live)
            findings.append(refused(error.message))
        after = await engine.memory_bytes()
        memory = None
        if before is not None and after is not None:
            memory = Memory(before_bytes=before, after_bytes=after)
        elapsed_s = asyncio.get_running_loop().time() - began
        return self._report(candidate, live, results, findings, memory, elapsed_s)

    def _report(
        self,
        candidate: Contender,
        live: Contender,
        results: tuple[CaseResult, ...],
        findings: list[Finding],
        memory: Memory | None,
        elapsed_s: float,
    ) -> Report:
        settings, confidence, seed = self._settings, self._settings.confidence, self._seed
        name = candidate.expert.name
        home = [result for result in results if result.expert == name]
        # What an upload brings thins nothing out: the service's cases are judged by themselves.
        own = [result for result in home if not result.brought]
        brought = [result for result in home if result.brought]
        others = sorted({result.expert for result in results} - {name})
        comparisons = list(
            compare(name, own, margin=settings.margin, confidence=confidence, seed=seed)
        )
        if len(brought) >= LEAST_CASES:
            found = compare(name, brought, margin=settings.margin, confidence=confidence, seed=seed)
            comparisons += (replace(one, brought=True) for one in found)
        for other in others:
            theirs = [result for result in results if result.expert == other]
            # Of many comparisons one would look bad by chance: they share the error.
            shared = 1 - (1 - confidence) / len(others)
            comparisons += compare(
                other, theirs, margin=settings.harm_margin, confidence=shared, seed=seed
            )
        purity = measure_purity(own, settings.simplified_share)
        latency = measure_latency(
            own, limit=settings.latency_ratio, confidence=confidence, seed=seed
        )
        if results:
            findings += judge_cases(own)
        for comparison in comparisons:
            findings += judge_comparison(
                comparison, own=comparison.expert == name, live=live.revision
            )
        findings += judge_purity(purity) + judge_latency(latency) + judge_memory(memory)
        return Report(
            expert=name,
            candidate=candidate.revision,
            live=live.revision,
            passed=not any(finding.fatal for finding in findings),
            findings=tuple(findings),
            comparisons=tuple(comparisons),
            purity=purity,
            latency=latency,
            memory=memory,
            cases=report_cases(results),
            seed=seed,
            confidence=confidence,
            elapsed_s=elapsed_s,
        )


async def _say_something(engine: EngineProbe, side: Contender) -> None:
    """Load a revision by naming it, and see that it answers."""
    hello = (Message(role=Role.USER, content="Hello"),)
    await engine.write(side.revision, hello, Sampling(max_tokens=1, temperature=0.0))


def _first(raised: ExceptionGroup[Exception] | TameError) -> TameError:
    """Give the first error of a group of groups; what is no error of ours goes on as it is."""
    error: Exception = raised
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, TameError):
        raise error
    return error
