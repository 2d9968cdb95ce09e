"""A question's way from the edge to its answer: decide, ask, join."""

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from tame_router.answering.course import Spoken
from tame_router.answering.dispatch import Dispatch
from tame_router.answering.ensemble import Ensemble
from tame_router.answering.event import DecisionMade, ExpertFinish, Final
from tame_router.answering.guard import Guard, prepare
from tame_router.answering.join import Emit
from tame_router.answering.join import Join as LeadAlone
from tame_router.answering.plan import Plan, make_plan
from tame_router.answering.question import Question, may_use
from tame_router.answering.substitution import Substitution, Vacancy
from tame_router.answering.transcript import Transcript
from tame_router.catalog.expert import Catalog, Expert
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import FinishReason, Format, Guarding, Message, Shape, Usage
from tame_router.errors import TameError
from tame_router.routing.decision import Constraints, Decision, Join
from tame_router.routing.joining import EVERYTHING, JoinRules
from tame_router.routing.router import Router
from tame_router.telemetry import log

_PLAIN = Shape()
_ALONE = JoinRules(allowed=frozenset({Join.SINGLE.value}))


class Pipeline:
    """Answers questions.

    Args:
        live: The experts.
        router: Decides who answers.
        join: Has the lead answer alone.
        ensemble: Makes one answer of several experts'; None: the lead always answers alone.
        dispatch: Knows which backends have room; None: nobody is refused before it is asked for.
        log_texts: Write questions and answers to the log.
        guarding: What is done about Simplified Chinese in answers.
        substitution: Has others answer where none of several experts did; None: nobody does.
    """

    def __init__(
        self,
        live: LiveCatalog,
        router: Router,
        join: LeadAlone,
        ensemble: Ensemble | None = None,
        *,
        dispatch: Dispatch | None = None,
        log_texts: bool = False,
        guarding: Guarding = Guarding.OFF,
        substitution: Substitution | None = None,
    ) -> None:
        self._live = live
        self._router = router
        self._join = join
        self._ensemble = ensemble
        self._dispatch = dispatch
        self._log_texts = log_texts
        self._guarding = guarding
        self._substitution = substitution
        prepare(guarding, live.current)

    def adopt(self, router: Router) -> None:
        """Let another router decide from the next question on; the experts have changed.

        Questions that began with other experts are decided among those: what they do not know
        is left out, as what a caller may not see.
        """
        self._router = router
        prepare(self._guarding, self._live.current)

    async def route(
        self,
        messages: Sequence[Message],
        constraints: Constraints,
        *,
        visible: frozenset[str] | None = None,
        explain: bool = False,
        joins: frozenset[str] = frozenset(),
        shape: Shape = _PLAIN,
        catalog: Catalog | None = None,
    ) -> Decision:
        """Decide who would answer, and ask nobody.

        Args:
            messages: The conversation.
            constraints: The caller's wishes.
            visible: Experts the caller may use; None: all.
            explain: Also name the features that weighed most.
            joins: Joins the caller may use, by name; empty: all.
            shape: What the answer may consist of.
            catalog: The experts; None: as they stand now.

        Raises:
            ExpertNotFoundError: When a constraint names an expert that does not exist.
            InvalidRequestError: When the constraints contradict each other.
            RevisionNotFoundError: When they name a revision that does not answer now.
            NoExpertError: When they leave nobody.
        """
        experts = catalog or self._live.current
        if len(experts.experts) < len(self._router.experts):
            here = frozenset(experts.experts)
            visible = here if visible is None else here & visible
        decision = await self._router.decide(
            messages, constraints, visible=visible, explain=explain, rules=self._rules(joins, shape)
        )
        if constraints.revision:
            experts.expert(decision.lead).require(constraints.revision)
        return decision

    def require_room(self, question: Question) -> None:
        """Refuse a question that no backend would let in now, before anything is done for it.

        Raises:
            BackendOverloadedError: When none would, or not that of the expert that it names.
        """
        if self._dispatch is None:
            return
        experts, pin = (question.catalog or self._live.current).experts, question.constraints.pin
        # One that the caller may not see is to look like one that is not there.
        seen = question.visible is None or pin in question.visible
        named = experts.get(pin) if seen else None
        names = (named.backend,) if named else self._dispatch.backends
        self._dispatch.require_room(names, question)

    async def answer(self, question: Question, emit: Emit) -> None:
        """Answer a question, event by event.

        Raises:
            TameError: When it cannot be answered; what was emitted before stays true.
        """
        clock = asyncio.get_running_loop().time
        begun = clock()
        catalog = question.catalog
        if catalog is None:
            catalog = self._live.current.drawn(question.session, question.constraints.revision)
            question = replace(question, catalog=catalog)
        decision = await self.route(
            question.messages,
            question.constraints,
            visible=question.visible,
            joins=question.joins,
            shape=question.shape,
            catalog=catalog,
        )
        plan = self._plan(catalog, decision, question, clock())
        if self._log_texts:
            emit = Transcript(question, emit).emit
        experts = [catalog.expert(chosen.expert) for chosen in decision.experts]
        # Before the first event: a refusal is worth most where it is quick.
        self._require_room(experts, question)
        guard = Guard(self._guarding, catalog, question, emit)
        emit = guard.emit
        steps = plan.planned if plan else ()
        await emit(DecisionMade(answer_id=question.answer_id, decision=decision, steps=steps))
        finishes: Sequence[ExpertFinish]
        try:
            if plan and self._ensemble:
                finishes, reason = await self._several(
                    self._ensemble, plan, question, decision.language, emit
                )
            else:
                finishes = await self._join.run(experts, question, decision.language, emit)
                reason = finishes[0].finish_reason
        except TameError as error:
            await guard.flush()
            _name(error, experts[0])
            raise
        final = Final(
            finish_reason=reason,
            usage=finishes[0].usage
            if len(finishes) == 1
            else sum((f.usage for f in finishes), Usage()),
            elapsed_s=clock() - begun,
        )
        await emit(final)
        _log(question, decision, finishes, final)

    async def _several(
        self, ensemble: Ensemble, plan: Plan, question: Question, language: str, emit: Emit
    ) -> tuple[Sequence[ExpertFinish], FinishReason]:
        """Have several experts answer; where all their backends are gone, another for the lead.

        Raises:
            TameError: When nobody answers.
        """
        begun = asyncio.get_running_loop().time()
        spoken = Spoken(emit)
        try:
            return await ensemble.run(plan, question, language, spoken.emit)
        except TameError as error:
            if spoken.anything or self._substitution is None:
                raise
            vacancy = Vacancy(
                lead=plan.steps[0].expert,
                error=error,
                question=question,
                language=language,
                emit=emit,
                begun=begun,
                noted=True,
            )
            finish = await self._substitution.fill(vacancy)
            return (finish,), finish.finish_reason

    def _require_room(self, experts: Sequence[Expert], question: Question) -> None:
        """Refuse a question that none of its experts would be asked.

        Raises:
            BackendOverloadedError: When none would.
        """
        if self._dispatch is None:
            return
        try:
            self._dispatch.require_room({e.backend: None for e in experts}, question)
        except TameError as error:
            _name(error, experts[0])
            raise

    def _rules(self, joins: frozenset[str], shape: Shape) -> JoinRules:
        """Say what holds for the joins of a question."""
        if self._ensemble is None:
            return _ALONE
        if shape == _PLAIN and not joins:
            return EVERYTHING
        form = shape.response_format
        held = form is not None and form.format is not Format.TEXT
        return JoinRules(
            allowed=joins,
            shaped=held or bool(shape.tools),
            listed=shape.choices > 1 or shape.top_logprobs is not None,
        )

    def _plan(
        self, catalog: Catalog, decision: Decision, question: Question, now: float
    ) -> Plan | None:
        """Plan an answer of several experts; None: the lead answers alone.

        Raises:
            InvalidRequestError: When there are fewer tokens than steps.
        """
        if decision.join is Join.SINGLE or self._ensemble is None:
            return None
        settings = self._ensemble.settings
        if not may_use(question, settings.judge):
            settings = settings.model_copy(update={"judge": ""})
        judged = decision.join is Join.BEST_OF and settings.judge
        writer = settings.judge if judged else self._router.policy.fallback
        if not may_use(question, writer):
            # Of the one who writes only the backend counts, and the name it is told under.
            writer = decision.lead
        return make_plan(
            decision.join,
            [(catalog.expert(e.expert), e.probability) for e in decision.experts],
            catalog.expert(writer),
            question,
            settings,
            left_s=None if question.deadline is None else question.deadline - now,
        )


def _name(error: TameError, expert: Expert) -> None:
    """Say, for the caller and for the log, who was asked when it failed."""
    error.metadata.setdefault("expert", expert.name)
    error.metadata.setdefault("revision", expert.live_revision)


def _log(
    question: Question, decision: Decision, finishes: Sequence[ExpertFinish], final: Final
) -> None:
    # Nobody has finished where the answer is a draft that met its time.
    lead = finishes[0] if finishes else None
    first = lead.time_to_first_token_s if lead else None
    log.event(
        logging.INFO,
        "answer.finished",
        request_id=question.request_id or question.answer_id,
        answer_id=question.answer_id,
        tenant=question.tenant,
        subject=question.subject,
        expert=lead.expert if lead else decision.lead,
        revision=lead.revision if lead else "",
        probability=round(decision.experts[0].probability, 3),
        stage=decision.stage,
        language=decision.language,
        finish_reason=final.finish_reason,
        prompt_tokens=final.usage.prompt_tokens,
        completion_tokens=final.usage.completion_tokens,
        ttft_ms=None if first is None else round(first * 1e3, 1),
        elapsed_ms=round(final.elapsed_s * 1e3, 1),
        **({} if len(finishes) == 1 else {"join": decision.join, "steps": len(finishes)}),
        **({"instead_of": lead.fallback.instead_of} if lead and lead.fallback else {}),
    )
