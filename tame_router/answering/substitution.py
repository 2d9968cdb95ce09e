"""Has others answer in the place of an expert whose backend is gone, and always says so.

Before the first word only: an answer that has begun is its expert's, and goes on, or breaks.
"""

import asyncio
import logging
from dataclasses import dataclass

from msgspec.structs import replace

from tame_router.answering.course import Voice, follow
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import ExpertFinish, ExpertStart, Fallback, Note, Part
from tame_router.answering.fallback import FallbackPolicy, StandIn, passes
from tame_router.answering.join import Emit
from tame_router.answering.label import fallback_notice
from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog, Expert
from tame_router.errors import TameError
from tame_router.telemetry import log
from tame_router.telemetry.recording import current


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacancy:
    """The place of an expert that has failed before a word.

    Attributes:
        lead: The expert.
        error: Why it does not answer.
        question: What it was asked.
        language: Language of the question.
        emit: Where events go.
        begun: Point on the event loop's clock at which it was asked.
        noted: It has been told already that it left.
    """

    lead: Expert
    error: TameError
    question: Question
    language: str
    emit: Emit
    begun: float
    noted: bool = False


class Substitution:
    """Asks one after the other of those who may answer for an expert.

    Args:
        dispatch: Opens their streams.
        policy: Says who they are.
    """

    def __init__(self, dispatch: Dispatch, policy: FallbackPolicy) -> None:
        self._dispatch = dispatch
        self._policy = policy

    async def fill(self, vacancy: Vacancy) -> ExpertFinish:
        """Have another answer in an expert's place.

        Raises:
            TameError: Why the expert does not answer, with every reason, when nobody could in its
                place; or how one that had begun to did not finish.
        """
        lead, error, question = vacancy.lead, vacancy.error, vacancy.question
        if not self._policy.opens(error):
            raise error
        catalog = question.catalog or Catalog({lead.name: lead})
        recourse = self._policy.recourse(lead, question, catalog)
        failed, failure = lead, error
        tried: list[tuple[StandIn, TameError]] = []
        while (left_s := self._left_s(vacancy)) > 0:
            stand_in = recourse.after(failed, failure)
            if stand_in is None:
                break
            if tried or not vacancy.noted:
                await vacancy.emit(_note(failed, failure))
            _record(vacancy, stand_in, failure)
            asked = _of_hop(question, len(tried) + 1, left_s)
            outcome = await self._ask(vacancy, stand_in, asked)
            if isinstance(outcome, ExpertFinish):
                return outcome
            failed, failure = stand_in.expert, outcome
            tried.append((stand_in, outcome))
        if tried:
            await vacancy.emit(_note(failed, failure))
            _tell(error, tried)
        raise error

    async def _ask(
        self, vacancy: Vacancy, stand_in: StandIn, question: Question
    ) -> ExpertFinish | TameError:
        """Ask one; give how it ended, or how it failed before a word."""
        expert, fallback = stand_in.expert, _fallback(vacancy, stand_in)
        notice = fallback_notice(fallback, expert, vacancy.lead, vacancy.language)
        voice = Voice(expert, vacancy.emit)
        start = ExpertStart(
            expert=expert.name, revision=expert.live_revision, notice=notice, fallback=fallback
        )
        await vacancy.emit(start)
        try:
            finish = await follow(self._dispatch, expert, question, notice, voice.take)
        except TameError as failed:
            if voice.spoke or not passes(failed):
                # Who was asked when it failed.
                failed.metadata.setdefault("expert", expert.name)
                failed.metadata.setdefault("revision", expert.live_revision)
                raise
            return failed
        finish = replace(finish, fallback=fallback)
        await vacancy.emit(finish)
        return finish

    def _left_s(self, vacancy: Vacancy) -> float:
        """Give the time in which who answers must have begun; 0 and less: there is none left."""
        now, deadline = asyncio.get_running_loop().time(), vacancy.question.deadline
        if deadline is not None and now >= deadline:
            return 0.0
        return vacancy.begun + self._policy.settings.within_s - now


def _of_hop(question: Question, hop: int, left_s: float) -> Question:
    """Give the question as one that stands in is asked it.

    Args:
        question: What the caller asks.
        hop: How many have been asked for it, this one included.
        left_s: Time in which the answer must have begun.
    """
    own_s = question.first_token_timeout_s
    return replace(
        question,
        # A backend may take two calls of one name for the same one.
        answer_id=f"{question.answer_id}-f{hop}",
        first_token_timeout_s=left_s if own_s is None else min(own_s, left_s),
    )


def _fallback(vacancy: Vacancy, stand_in: StandIn) -> Fallback:
    return Fallback(
        kind=stand_in.kind,
        instead_of=vacancy.lead.name,
        revision=vacancy.lead.live_revision,
        reason=vacancy.error.reason,
        backend=stand_in.expert.backend,
        external=stand_in.external,
    )


def _note(expert: Expert, error: TameError) -> Note:
    return Note(
        expert=expert.name,
        revision=expert.live_revision,
        part=Part.LEAD,
        reason=error.reason,
        message=error.message,
    )


def _tell(error: TameError, tried: list[tuple[StandIn, TameError]]) -> None:
    """Put into an error why nobody answered in the expert's place either."""
    told = "; ".join(f"{stand_in.label}: {failure.message}" for stand_in, failure in tried)
    error.message = f"{error.message}; nobody answered in its place ({told})"
    error.args = (error.message,)
    for number, (stand_in, failure) in enumerate(tried, 1):
        error.metadata[f"fallback_{number}"] = f"{stand_in.label}: {failure.reason}"


def _record(vacancy: Vacancy, stand_in: StandIn, failure: TameError) -> None:
    """Leave word of a hop in metrics, trace and log.

    Args:
        vacancy: The place to be filled.
        stand_in: Who is asked.
        failure: How the one before failed.
    """
    question, expert = vacancy.question, stand_in.expert
    current().fell_back(
        vacancy.lead.name,
        stand_in.kind.value,
        failure.reason,
        expert=expert.name,
        revision=expert.live_revision,
        backend=expert.backend,
    )
    log.event(
        logging.WARNING,
        "answer.fell_back",
        request_id=question.request_id or question.answer_id,
        answer_id=question.answer_id,
        tenant=question.tenant,
        instead_of=vacancy.lead.name,
        kind=stand_in.kind.value,
        expert=expert.name,
        revision=expert.live_revision,
        backend=expert.backend,
        external=stand_in.external,
        reason=failure.reason,
        because=failure.message,
    )
