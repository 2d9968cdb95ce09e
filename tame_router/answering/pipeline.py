"""A question's way from the edge to its answer: decide, ask, join."""

import asyncio
import logging
from collections.abc import Sequence

from tame_router.answering.event import DecisionMade, ExpertFinish, Final
from tame_router.answering.guard import Guard, prepare
from tame_router.answering.join import Emit, Join
from tame_router.answering.question import Question
from tame_router.answering.transcript import Transcript
from tame_router.catalog.expert import Catalog
from tame_router.chat import Guarding, Message, Usage
from tame_router.errors import TameError
from tame_router.routing.decision import Constraints, Decision
from tame_router.routing.router import Router
from tame_router.telemetry import log


class Pipeline:
    """Answers questions.

    Args:
        catalog: The experts.
        router: Decides who answers.
        join: Makes one answer of what they say.
        log_texts: Write questions and answers to the log.
        guarding: What is done about Simplified Chinese in answers.
    """

    def __init__(
        self,
        catalog: Catalog,
        router: Router,
        join: Join,
        *,
        log_texts: bool = False,
        guarding: Guarding = Guarding.OFF,
    ) -> None:
        self._catalog = catalog
        self._router = router
        self._join = join
        self._log_texts = log_texts
        self._guarding = guarding
        prepare(guarding, catalog)

    async def route(
        self,
        messages: Sequence[Message],
        constraints: Constraints,
        *,
        visible: frozenset[str] | None = None,
        explain: bool = False,
    ) -> Decision:
        """Decide who would answer, and ask nobody.

        Raises:
            ExpertNotFoundError: When a constraint names an expert that does not exist.
            InvalidRequestError: When the constraints contradict each other.
            RevisionNotFoundError: When they name a revision that does not answer now.
            NoExpertError: When they leave nobody.
        """
        decision = await self._router.decide(
            messages, constraints, visible=visible, explain=explain
        )
        if constraints.revision:
            self._catalog.expert(decision.lead).require(constraints.revision)
        return decision

    async def answer(self, question: Question, emit: Emit) -> None:
        """Answer a question, event by event.

        Raises:
            TameError: When it cannot be answered; what was emitted before stays true.
        """
        clock = asyncio.get_running_loop().time
        begun = clock()
        decision = await self.route(
            question.messages, question.constraints, visible=question.visible
        )
        if self._log_texts:
            emit = Transcript(question, emit).emit
        guard = Guard(self._guarding, self._catalog, question, emit)
        emit = guard.emit
        await emit(DecisionMade(answer_id=question.answer_id, decision=decision))
        experts = [self._catalog.expert(chosen.expert) for chosen in decision.experts]
        try:
            finishes = await self._join.run(experts, question, decision.language, emit)
        except TameError as error:
            await guard.flush()
            # For the caller and for the log: who was asked when it failed.
            error.metadata.setdefault("expert", experts[0].name)
            error.metadata.setdefault("revision", experts[0].live_revision)
            raise
        final = Final(
            finish_reason=finishes[0].finish_reason,
            usage=sum((f.usage for f in finishes), Usage()),
            elapsed_s=clock() - begun,
        )
        await emit(final)
        _log(question, decision, finishes, final)


def _log(
    question: Question, decision: Decision, finishes: Sequence[ExpertFinish], final: Final
) -> None:
    lead = finishes[0]
    first = lead.time_to_first_token_s
    log.event(
        logging.INFO,
        "answer.finished",
        request_id=question.answer_id,
        expert=lead.expert,
        revision=lead.revision,
        probability=round(decision.experts[0].probability, 3),
        stage=decision.stage,
        language=decision.language,
        finish_reason=final.finish_reason,
        prompt_tokens=final.usage.prompt_tokens,
        completion_tokens=final.usage.completion_tokens,
        ttft_ms=None if first is None else round(first * 1e3, 1),
        elapsed_ms=round(final.elapsed_s * 1e3, 1),
    )
