"""Asks several experts at once, and drives the join that makes one answer of their words.

One task reads each expert's stream. None of them waits for another; the answer is over when
the join listens to nobody any longer, and then, as at a cancellation, all are closed at once.
"""

import asyncio

from tame_router.answering.best_of import BestOf
from tame_router.answering.course import follow
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import ExpertFinish
from tame_router.answering.fuse import Fuse
from tame_router.answering.happening import Ask, Command, Ended, Failed, JoinCourse, Stop
from tame_router.answering.join import Emit
from tame_router.answering.mailbox import Mailbox
from tame_router.answering.panel import Panel
from tame_router.answering.plan import Plan, Step, of_step
from tame_router.answering.question import Question
from tame_router.answering.roster import Roster
from tame_router.answering.second_opinion import SecondOpinion
from tame_router.answering.vote import Vote
from tame_router.backends.backend import Piece
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason
from tame_router.config import JoinSettings
from tame_router.errors import ConfigError, TameError
from tame_router.routing.decision import Join


class Ensemble:
    """Answers with several experts.

    Args:
        dispatch: Opens experts' streams.
        settings: How long experts are waited for.
    """

    def __init__(self, dispatch: Dispatch, settings: JoinSettings | None = None) -> None:
        self._dispatch = dispatch
        self.settings = settings or JoinSettings()

    async def run(
        self, plan: Plan, question: Question, language: str, emit: Emit
    ) -> "tuple[list[ExpertFinish], FinishReason]":
        """Carry a plan out, event by event.

        Args:
            plan: What is to be done.
            question: What is asked.
            language: Language of the question, for titles and notices.
            emit: Where events go.

        Returns:
            How each step ended that did, and why the answer ended.

        Raises:
            BackendError: When no expert answered; it holds every reason.
            InvalidRequestError: When every backend found the request at fault.
        """
        course = _course(plan, question, language)
        try:
            async with asyncio.TaskGroup() as group:
                run = _Run(self._dispatch, self.settings, question, group, plan)
                await run.carry_out(course, emit)
        except BaseExceptionGroup as errors:
            # One thing goes wrong here: the place where events go. Experts' errors are events.
            raise errors.exceptions[0] from None
        return course.finishes, course.outcome()


class _Run:
    """One answer under way.

    Args:
        dispatch: Opens experts' streams.
        settings: How long experts are waited for.
        question: What is asked.
        group: Holds the tasks that read.
        plan: What is to be done.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        settings: JoinSettings,
        question: Question,
        group: asyncio.TaskGroup,
        plan: Plan,
    ) -> None:
        self._dispatch = dispatch
        self._settings = settings
        self._question = question
        self._group = group
        self._begun = asyncio.get_running_loop().time()
        self._mailbox = Mailbox(len(plan.steps), plan.most_chars)
        self._tasks: list[asyncio.Task[None]] = []
        # The lead's is the first, so that its request leaves before all others.
        for index, step in enumerate(plan.steps):
            self._tasks.append(group.create_task(self._read(index, step)))

    async def carry_out(self, course: JoinCourse, emit: Emit) -> None:
        """Tell the join what happens, and do what it says, until it is over."""
        try:
            await self._obey(course.begin(), emit)
            while listening := course.listening:
                index, happening = await self._mailbox.take(listening)
                await self._obey(course.take(index, happening), emit)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _obey(self, commands: list[Command], emit: Emit) -> None:
        for command in commands:
            if isinstance(command, Stop):
                self._tasks[command.index].cancel()
            elif isinstance(command, Ask):
                self._mailbox.add_step()
                reading = self._read(len(self._tasks), command.step)
                self._tasks.append(self._group.create_task(reading))
            else:
                await emit(command)

    async def _read(self, index: int, step: Step) -> None:
        asked = of_step(
            self._question,
            step,
            index,
            begun=self._begun,
            stall_timeout_s=self._settings.stall_timeout_s,
        )

        async def take(piece: Piece) -> None:
            await self._mailbox.put(index, piece)

        try:
            finish = await follow(self._dispatch, step.expert, asked, "", take)
        except TameError as error:
            await self._mailbox.put(index, Failed(error))
            return
        await self._mailbox.put(index, Ended(finish))


def require_judge(settings: JoinSettings, catalog: Catalog) -> None:
    """Make sure that the judge is an expert, where there is one.

    Raises:
        ConfigError: When it is none.
    """
    if settings.judge and settings.judge not in catalog.experts:
        raise ConfigError(
            f"joins.judge names {settings.judge[:64]!r}, which is no expert;"
            f" there are: {', '.join(catalog.names)}"
        )


def _course(plan: Plan, question: Question, language: str) -> JoinCourse:
    roster = Roster(plan, language)
    match plan.join:
        case Join.SECOND_OPINION:
            return SecondOpinion(roster, question.messages, len(question.documents))
        case Join.FUSE:
            return Fuse(roster, question.messages, len(question.documents))
        case Join.VOTE:
            return Vote(roster)
        case Join.BEST_OF:
            return BestOf(roster, question.messages, len(question.documents))
        case _:
            return Panel(roster)
