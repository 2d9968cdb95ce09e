"""Has shadows answer copies of questions, beside the answers: nobody is given what they write.

A copy is asked once its question has been answered. There are a few places for copies; where
none is free, a copy is dropped and counted. Whatever goes wrong with one is told to the watch
and to nobody else: no caller waits for it, no quota and no record counts it, no replica is held
to have failed by it.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import DecisionMade, Delta, Event, ExpertFinish
from tame_router.answering.guard import Guard
from tame_router.answering.question import Question
from tame_router.answering.single import SingleJoin
from tame_router.backends.vllm.scoring import PRIORITY
from tame_router.catalog.expert import Catalog, Expert
from tame_router.chat import Guarding
from tame_router.config_registry import CanarySettings
from tame_router.errors import TameError
from tame_router.registry.canary.outcome import FAILED, Outcome, blames_revision, outcome_of
from tame_router.registry.canary.watch import CanaryWatch
from tame_router.routing.decision import Decision
from tame_router.telemetry import log


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A question that was answered, for a shadow.

    Attributes:
        expert: The expert, with the shadow as its adapter.
        question: What was asked.
        decision: Who was to answer, and in which language it was asked.
        outcome: What became of the answer.
        text: The answer.
        time_s: Time that the caller gave for it; None: no limit.
    """

    expert: Expert
    question: Question
    decision: Decision
    outcome: Outcome
    text: str
    time_s: float | None


class Preferring(Protocol):
    """Compares two answers; `judge` fulfils it."""

    async def preference(
        self, expert: Expert, question: Question, language: str, live: str, copy: str
    ) -> float | None:
        """Say which is better: 1 the live one's, -1 the copy's, 0 neither; None: it is not known.

        Args:
            expert: Who answers.
            question: What was asked; its deadline holds for the judge too.
            language: Language of the question.
            live: The live revision's answer.
            copy: The shadow's.
        """


Count = Callable[[str], None]
"""Counts a copy, by what became of it: `answered`, `failed` or `dropped`."""


class Shadow:
    """Asks copies, a few at a time.

    Args:
        settings: How many, and how long.
        dispatch: Opens experts' streams.
        guarding: What is done about Simplified Chinese.
        watch: Is told what became of a copy.
        count: Counts copies.
        judge: Compares answers; None: nobody does.
    """

    def __init__(
        self,
        settings: CanarySettings,
        dispatch: Dispatch,
        guarding: Guarding,
        watch: CanaryWatch,
        count: Count,
        judge: Preferring | None = None,
    ) -> None:
        self._settings = settings
        self._single = SingleJoin(dispatch)
        self._guarding = guarding
        self._watch = watch
        self._count = count
        self._judge = judge
        self._free = settings.shadow_at_once
        self._waiting: asyncio.Queue[Copy] = asyncio.Queue()

    def offer(self, copy: Copy) -> None:
        """Take a copy, where a place is free. It waits for nothing."""
        if not self._free:
            self._count("dropped")
            return
        self._free -= 1
        self._waiting.put_nowait(copy)

    async def run(self) -> None:
        """Ask copies, until cancelled: then those under way are closed."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.shadow_at_once):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            copy = await self._waiting.get()
            try:
                await self._try(copy)
            except Exception as error:  # nothing that goes wrong with a copy may end the router
                log.event(logging.ERROR, "adapter.copy_broke", because=place_of(error))
            finally:
                self._free += 1

    async def _try(self, copy: Copy) -> None:
        """Ask a copy, have the answers compared, and tell the watch."""
        time_s = self._settings.shadow_timeout_s
        time_s = time_s if copy.time_s is None else min(time_s, copy.time_s)
        question = _aside(copy.question, asyncio.get_running_loop().time() + time_s)
        preference: float | None = None
        words: list[str] = []
        try:
            outcome = await self._answer(copy, question, words)
            text = "".join(words)
            if self._judge is not None and copy.text.strip() and text.strip():
                preference = await self._judge.preference(
                    copy.expert, question, copy.decision.language, copy.text, text
                )
        except TameError as error:
            if not blames_revision(error, begun=bool(words)):
                self._count("dropped")
                return
            outcome = FAILED
        self._count("failed" if outcome is FAILED else "answered")
        self._watch.compare(
            copy.expert.name, copy.expert.live_revision, copy.outcome, outcome, preference
        )

    async def _answer(self, copy: Copy, question: Question, words: list[str]) -> Outcome:
        """Give what became of a copy; its words are added to the list as they come.

        Raises:
            TameError: When there is none.
        """
        outcome = FAILED

        async def take(event: Event) -> None:
            nonlocal outcome
            if isinstance(event, Delta):
                words.append(event.text)
            elif isinstance(event, ExpertFinish):
                outcome = outcome_of(event)

        expert, decision = copy.expert, copy.decision
        guard = Guard(self._guarding, Catalog({expert.name: expert}), question, take)
        await guard.emit(DecisionMade(answer_id=question.answer_id, decision=decision))
        await self._single.run([expert], question, decision.language, guard.emit)
        return outcome


def place_of(error: BaseException) -> str:
    """Name an error's type and where it was raised: its message may hold what somebody asked."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _aside(question: Question, deadline: float) -> Question:
    """Give a question as its copy is asked: behind all callers, in a trace of nobody's."""
    return replace(
        question,
        answer_id=f"{question.answer_id}-copy",
        deadline=deadline,
        begin_by=None,
        trace={},
        priority=PRIORITY,
        catalog=None,
        aside=True,
    )
