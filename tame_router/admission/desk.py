"""The desk that both edges ask: scope, entitlement, quota, record, receipt, and the answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from tame_router.admission.account import Account
from tame_router.admission.books import Books
from tame_router.admission.call import Call
from tame_router.admission.caller import Caller
from tame_router.admission.model import constrain, named
from tame_router.admission.observation import CHARS_PER_TOKEN, Observation
from tame_router.admission.places import Places
from tame_router.admission.reception import EVERYONE
from tame_router.admission.settlement import due
from tame_router.admission.standing import Standing, standing_of
from tame_router.answering.event import DecisionMade, Delta, Event, Final, Note
from tame_router.answering.join import Emit
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.question import Question
from tame_router.answering.roster import NO_FAILURES
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import Message
from tame_router.config_backends import FallbackSettings
from tame_router.errors import PermissionDeniedError, TameError
from tame_router.registry.canary.testimony import SILENT
from tame_router.registry.canary.witness import Witness
from tame_router.routing.decision import Constraints, Decision, Join
from tame_router.routing.selection import SelectionPolicy
from tame_router.telemetry.recording import Recording, current
from tame_router.tenancy.tenant import Scope, Tenant


class Desk:
    """Answers callers within what they may use.

    Args:
        live: The experts.
        pipeline: Answers questions.
        books: Where use is counted, recorded and receipted.
        witness: Sees what becomes of answers, for the sake of canaries; None: nobody does.
        policy: The operator's rules of routing, for their digest.
        fallback: The operator's rules of who answers where a backend is gone, likewise.
        max_answers: Answers under way at once; more are refused.
        reserved_completion_tokens: Tokens reserved where the caller names no `max_tokens`.
    """

    def __init__(
        self,
        live: LiveCatalog,
        pipeline: Pipeline,
        books: Books | None = None,
        witness: Witness | None = None,
        *,
        policy: SelectionPolicy | None = None,
        fallback: FallbackSettings | None = None,
        max_answers: int = 1024,
        reserved_completion_tokens: int = 512,
    ) -> None:
        self._live = live
        self._pipeline = pipeline
        self._books = books or Books()
        self._witness = witness or Witness()
        self._policy = policy or SelectionPolicy()
        self._fallback = fallback or FallbackSettings()
        self._places = Places(max_answers)
        self._reserved = reserved_completion_tokens
        self._known: dict[str, Standing] = {}

    def catalog(self, caller: Caller) -> Catalog:
        """Give the experts that exist for a caller.

        Raises:
            PermissionDeniedError: When the caller may not ask: then it sees none either.
        """
        caller.principal.require(Scope.CHAT)
        return self._standing(caller.tenant).catalog

    async def route(
        self,
        caller: Caller,
        messages: Sequence[Message],
        constraints: Constraints,
        *,
        explain: bool = False,
    ) -> Decision:
        """Decide who would answer, and ask nobody.

        It counts as a request that reads and writes no tokens, and takes a place while it lasts.

        Raises:
            PermissionDeniedError: When the caller lacks the scope, or may not use the join.
            QuotaExceededError: When the tenant has made as many requests as it may.
            OverloadedError: When there is no place.
            RequestError: As `Pipeline.route` does.
            NoExpertError: As `Pipeline.route` does.
        """
        _require_rights(caller, constraints)
        with self._places:
            async with self.counted(caller):
                decision = await self._pipeline.route(
                    messages,
                    constraints,
                    visible=self._standing(caller.tenant).visible,
                    explain=explain,
                    joins=caller.tenant.joins,
                )
        self._decided(current(), self._live.current, decision)
        return decision

    async def answer(self, call: Call, emit: Emit) -> None:
        """Answer a question, event by event.

        Raises:
            TameError: When it may not be, or cannot be, answered; what was emitted before
                stays true.
        """
        tenant = call.caller.tenant
        standing = self._standing(tenant)
        recording = current()
        pin = named(call.model) or call.question.constraints.pin
        recording.asked(call.question.answer_id, pin)
        catalog = self._live.current
        question = replace(
            call.question,
            catalog=catalog,
            visible=standing.visible,
            trace=recording.trace,
            joins=tenant.joins,
            tenant=tenant.name,
            subject=call.caller.principal.subject,
            priority=tenant.priority,
        )
        self._books.journal.require_room()
        prompt_tokens = _prompt_tokens(question)
        seen = Observation(
            call,
            catalog,
            policy_digest=standing.policy_digest,
            prompt_tokens=prompt_tokens,
            keep_text=tenant.retain_texts_days > 0,
        )
        account = Account(call, seen, self._books, recording)

        witness = SILENT
        if _by_lot(question, call.model):
            now = asyncio.get_running_loop().time()
            witness = self._witness.hear(question, catalog, now)

        def pass_on(event: Event) -> Awaitable[None]:
            seen.see(event)
            witness.see(event)
            if not isinstance(event, Delta):
                event = self._between(event, question.catalog or catalog, account, recording)
            return emit(event)

        try:
            _require_rights(call.caller, question.constraints)
            # Here, so that asking for what does not exist is recorded as on the other edge.
            constraints = constrain(call.model, question.constraints, standing.catalog)
            drawn = catalog.drawn(question.session, constraints.revision)
            question = _settled(question, constraints, drawn)
            self._pipeline.require_room(question)
            with self._places:
                most = self._most_tokens(question, prompt_tokens)
                reservation = await self._books.quota.reserve(tenant, most)
                ended: BaseException | None = None
                try:
                    await self._pipeline.answer(question, pass_on)
                except BaseException as error:
                    ended = error
                    raise
                finally:
                    await reservation.settle(due(ended, seen))
        except BaseException as error:
            account.close(_outcome(error))
            witness.failed(error)
            raise

    @asynccontextmanager
    async def counted(self, caller: Caller) -> AsyncIterator[None]:
        """Count a request without tokens; one that is refused, or fails, is given back.

        Raises:
            QuotaExceededError: When the tenant has made as many requests as it may.
        """
        reservation = await self._books.quota.reserve(caller.tenant, 0)
        cost: int | None = 0
        try:
            yield
        except Exception:
            cost = None
            raise
        finally:
            await reservation.settle(cost)

    def _between(
        self, event: Event, catalog: Catalog, account: Account, recording: Recording
    ) -> Event:
        """Take note of what is no text of an expert, and give it as the caller is told."""
        if isinstance(event, DecisionMade):
            self._decided(recording, catalog, event.decision)
        elif isinstance(event, Final):
            return _receipted(event, account.close("ok"))
        elif isinstance(event, Note) and event.reason not in NO_FAILURES:
            recording.left(event.expert, event.reason)
        return event

    def _decided(self, recording: Recording, catalog: Catalog, decision: Decision) -> None:
        expert = catalog.expert(decision.lead)
        recording.decided(decision, revision=expert.live_revision, backend=expert.backend)

    def _standing(self, tenant: Tenant) -> Standing:
        """Give what holds for a tenant, worked out once for as long as it is the same."""
        known = self._known.get(tenant.name)
        catalog = self._live.current
        if known is None or known.tenant is not tenant or known.source is not catalog:
            known = standing_of(
                tenant, catalog, self._policy, self._fallback, everything=tenant is EVERYONE
            )
            self._known[tenant.name] = known
        return known

    def _most_tokens(self, question: Question, prompt_tokens: int) -> int:
        """Tell the most tokens an answer may take.

        Of a join that the caller names each step is counted; what the operator's own join takes
        beyond one expert is counted when it has been used.
        """
        named = question.sampling.max_tokens
        steps = self._steps(question.constraints)
        # Steps share the tokens that a caller names, and what is written from drafts reads them.
        wanted = named or self._reserved * steps
        again = wanted if steps > 1 else 0
        return prompt_tokens * steps + wanted * question.shape.choices + again

    def _steps(self, constraints: Constraints) -> int:
        join = constraints.join
        if join is None or join is Join.SINGLE:
            return 1
        experts = constraints.max_experts or max(2, self._policy.max_experts)
        experts = min(experts, self._policy.most_experts)
        return experts + (join in {Join.SECOND_OPINION, Join.FUSE, Join.BEST_OF})


def _require_rights(caller: Caller, constraints: Constraints) -> None:
    """Make sure that a caller may ask, and by the join it names."""
    caller.principal.require(Scope.CHAT)
    joins, join = caller.tenant.joins, constraints.join
    if joins and join is not None and join.value not in joins:
        raise PermissionDeniedError(
            f"join {join.value!r} is not among those this tenant may use: "
            f"{', '.join(sorted(joins))}; name one of them, or none",
            metadata={"join": join.value},
        )


def _by_lot(question: Question, model: str | None) -> bool:
    """Tell whether an answer says something of the revision that a lot has chosen for it.

    It does not where the caller insists on a revision, or on several answers at once, whose times
    cannot be told apart.
    """
    insists = bool(question.constraints.revision) or "@" in (model or "")
    return not insists and question.shape.choices == 1


def _settled(question: Question, constraints: Constraints, catalog: Catalog) -> Question:
    """Give a question with what was settled for it; nearly always that is the same."""
    if constraints is question.constraints and catalog is question.catalog:
        return question
    return replace(question, constraints=constraints, catalog=catalog)


def _receipted(final: Final, receipt: str) -> Final:
    """Put a receipt to the last event, where there is one."""
    return replace(final, receipt=receipt) if receipt else final


def _outcome(error: BaseException) -> str:
    """Name what ended an answer, as records do."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.reason if isinstance(error, TameError) else TameError.reason


def _prompt_tokens(question: Question) -> int:
    """Tell about how many tokens an expert will read."""
    chars = 0
    for message in question.messages:
        chars += len(message.content)
    for document in question.documents:
        chars += len(document.text)
    return chars // CHARS_PER_TOKEN
