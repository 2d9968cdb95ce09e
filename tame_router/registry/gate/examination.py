"""Asks one engine all questions of a gate, both sides of a case at the same time.

Both sides meet the same load, so their times compare; what is asked, and in which order,
depends on the sets and the seed alone.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tame_router.catalog.evaluation import ChoiceCase, EvaluationCase, TextCase
from tame_router.chat import Message, Role
from tame_router.registry.gate.case_score import CaseScore, score_choice, score_text
from tame_router.registry.gate.evaluation_sets import Contender, EvaluationSets
from tame_router.registry.gate.probe import EngineProbe

LETTERS: Final = "ABCDEFGH"
"""What choices are called; an evaluation set has at most eight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case as both sides answered it.

    Attributes:
        expert: Whose set it is of.
        case: The case.
        candidate: How the new revision did.
        live: How what answers today did.
        brought: The upload brought it.
    """

    expert: str
    case: EvaluationCase
    candidate: CaseScore
    live: CaseScore
    brought: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Asks both sides.

    Args:
        engine: Whom.
        candidate: The new revision.
        live: What answers today.
        max_tokens: Tokens of a free answer.
        reference_tokens: Tokens of a reference that are read, ≥ 4; of others' sets a quarter.
        at_once: Cases under way at the same time, each with both sides.
        seed: Of the lot.
    """

    engine: EngineProbe
    candidate: Contender
    live: Contender
    max_tokens: int
    reference_tokens: int
    at_once: int
    seed: int

    async def ask(self, sets: EvaluationSets) -> tuple[CaseResult, ...]:
        """Ask everything: the expert's own cases, then what the upload brings, then the others'.

        Raises:
            ExceptionGroup: Of what the engine raised; whatever is under way is given up.
        """
        own = self.candidate.expert.name
        asked = [(own, case) for case in (*sets.own, *sets.brought)]
        brought = range(len(sets.own), len(asked))
        asked += [(name, case) for name, cases in sets.others.items() for case in cases]
        results: list[CaseResult | None] = [None] * len(asked)
        numbers = iter(range(len(asked)))

        async def work() -> None:
            for number in numbers:
                name, case = asked[number]
                result = await self._ask_both(name, case, own=name == own)
                results[number] = replace(result, brought=number in brought)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self.at_once, len(asked))):
                tasks.create_task(work())
        return tuple(result for result in results if result is not None)

    async def _ask_both(self, name: str, case: EvaluationCase, *, own: bool) -> CaseResult:
        async with asyncio.TaskGroup() as tasks:
            sides = [
                tasks.create_task(self._ask(side, case, own=own))
                for side in (self.candidate, self.live)
            ]
        candidate, live = (side.result() for side in sides)
        return CaseResult(expert=name, case=case, candidate=candidate, live=live)

    async def _ask(self, side: Contender, case: EvaluationCase, *, own: bool) -> CaseScore:
        if isinstance(case, ChoiceCase):
            return await self._choose(side, case)
        most = self.reference_tokens if own else self.reference_tokens // 4
        loss = await self._loss(side, case, most)
        if not own:
            return CaseScore(loss=loss)
        sampling = msgspec.structs.replace(
            side.expert.sampling, temperature=0.0, max_tokens=self.max_tokens, seed=self.seed
        )
        written = await self.engine.write(side.revision, _messages(side, case.question), sampling)
        return score_text(case, written.text, loss, written.token_s)

    async def _choose(self, side: Contender, case: ChoiceCase) -> CaseScore:
        """Ask for the letter, and read how likely each is."""
        names = LETTERS[: len(case.choices)]
        lines = [f"({name}) {text}" for name, text in zip(names, case.choices, strict=True)]
        question = "\n".join((case.question, *lines))
        prompt = await self.engine.prompt_tokens(side.revision, _messages(side, question))
        opened = await self.engine.text_tokens(side.revision, "(")
        letters = [(await self.engine.text_tokens(side.revision, name))[0] for name in names]
        found = await self.engine.log_probabilities(side.revision, [(*prompt, *opened)], letters)
        return score_choice(case.answer, [found[0][letter] for letter in letters])

    async def _loss(self, side: Contender, case: TextCase, most: int) -> float:
        """Read how likely each token of the reference is behind those before it."""
        prompt = await self.engine.prompt_tokens(side.revision, _messages(side, case.question))
        tokens = await self.engine.text_tokens(side.revision, case.reference)
        places: Sequence[int] = range(len(tokens))
        if len(tokens) > most:
            lot = random.Random(f"{self.seed} {case.id}")  # noqa: S311 - a lot, no secret
            places = sorted(lot.sample(places, most))
        prompts = [(*prompt, *tokens[:place]) for place in places]
        wanted = [tokens[place] for place in places]
        found = await self.engine.log_probabilities(side.revision, prompts, set(wanted))
        return -sum(one[token] for one, token in zip(found, wanted, strict=True)) / len(wanted)


def _messages(side: Contender, question: str) -> tuple[Message, ...]:
    """Ask as the service does: its expert's own prompt, whatever set the question is of."""
    return (
        Message(role=Role.SYSTEM, content=side.expert.prompt),
        Message(role=Role.USER, content=question),
    )
