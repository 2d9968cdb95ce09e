"""A base model compares two answers to one question: which is better, the live one's or a copy.

Models prefer what they read first, or last. So it is asked twice, in both orders, and has a
preference only where it names the same answer both times.
"""

import asyncio
from typing import Final

from msgspec.structs import replace

from tame_router.answering.best_of import read_verdict
from tame_router.answering.course import follow
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.draft import Draft
from tame_router.answering.event import Part, PlannedStep
from tame_router.answering.plan import Step, of_step
from tame_router.answering.question import Question
from tame_router.answering.writing import judge_step
from tame_router.backends.backend import Piece
from tame_router.catalog.expert import Expert
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import Sampling, Shape
from tame_router.errors import ConfigError, TameError

BASE: Final = "base"
"""The judge that is the base model of the expert on trial."""


class Judge:
    """Asks a base model.

    Args:
        name: An expert, whose backend's base model judges; `BASE`: that of whoever answers.
        dispatch: Opens its streams.
        live: The experts.
        wait_s: Longest wait for its first token, and longest silence.

    Raises:
        ConfigError: When the name is no expert's.
    """

    def __init__(self, name: str, dispatch: Dispatch, live: LiveCatalog, *, wait_s: float) -> None:
        experts = live.current.experts
        if name != BASE and name not in experts:
            raise ConfigError(
                f"registry.canary.judge names {name[:64]!r}, which is no expert; there are:"
                f" {BASE}, {', '.join(experts)}"
            )
        self._name = name
        self._dispatch = dispatch
        self._live = live
        self._wait_s = wait_s

    async def preference(
        self, expert: Expert, question: Question, language: str, live: str, copy: str
    ) -> float | None:
        """Say which answer is better: 1 the live one's, -1 the copy's, 0 neither.

        Args:
            expert: Who answered.
            question: What was asked; its deadline holds for the judge too.
            language: Language of the question.
            live: The live revision's answer.
            copy: The shadow's.

        Returns:
            The preference; None: the judge cannot be asked, or what it says cannot be read.
        """
        if live == copy:
            return 0.0
        try:
            first = await self._best(expert, question, language, (live, copy))
            second = await self._best(expert, question, language, (copy, live))
        except TameError:
            return None
        if first is None or second is None:
            return None
        return {(1, 2): 1.0, (2, 1): -1.0}.get((first, second), 0.0)

    async def _best(
        self, expert: Expert, question: Question, language: str, texts: tuple[str, str]
    ) -> int | None:
        """Give the number of the better text, from 1; None: it cannot be read."""
        judge = self._live.current.experts.get(self._name, expert)
        writer = Step(
            expert=judge,
            planned=PlannedStep(expert=judge.name, part=Part.JUDGE),
            first_token_timeout_s=self._wait_s,
            shape=Shape(),
        )
        step = judge_step(
            writer,
            question.messages,
            [("", text) for text in texts],
            language,
            len(question.documents),
        )
        asked = of_step(
            replace(question, sampling=Sampling(temperature=0.0)),
            step,
            1,
            begun=asyncio.get_running_loop().time(),
            stall_timeout_s=self._wait_s,
        )
        verdict = Draft()

        async def take(piece: Piece) -> None:
            verdict.add(piece)

        await follow(self._dispatch, step.expert, asked, "", take)
        return read_verdict(verdict.text, len(texts))
