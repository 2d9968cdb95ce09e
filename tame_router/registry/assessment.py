"""The two judgements a revision must pass: bytes and signature are right, and it answers well."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from tame_router.catalog.live import LiveCatalog
from tame_router.errors import ConfigError, RevisionNotFoundError
from tame_router.errors_registry import (
    CorruptRevisionError,
    InvalidTransitionError,
    RevisionRefusedError,
)
from tame_router.registry.advice import found
from tame_router.registry.domain.domain import founds
from tame_router.registry.domain.domains import Domains, Look
from tame_router.registry.feed import Feed
from tame_router.registry.finding import Finding
from tame_router.registry.gate.evaluation_sets import Contender, EvaluationSets
from tame_router.registry.gate.gate import Gate
from tame_router.registry.gate.probe import EngineProbe
from tame_router.registry.gate.report import Report
from tame_router.registry.observer import UNOBSERVED, Observer
from tame_router.registry.reason import Reason
from tame_router.registry.record import ROUTER, Job, JobKind, RevisionRecord, SignatureState
from tame_router.registry.records.access import Records
from tame_router.registry.signing.signature import Verdict
from tame_router.registry.signing.signature_look import signers_unread
from tame_router.registry.state import Event, State
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.telemetry import log

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore


class Signatures(Protocol):
    """Looks at the signature of a revision whose bytes are in the store."""

    async def look(self, record: RevisionRecord) -> Verdict:
        """Tell who signed it, or why it is refused.

        Raises:
            CorruptRevisionError: When its bytes are not what its digest says.
        """
        ...


Examine = Callable[[str], AbstractAsyncContextManager[EngineProbe]]
"""Opens an engine of an expert's that can be asked."""

Writes = Callable[["RecordStore"], RevisionRecord]
"""Changes a revision's record, and gives it as it is then."""

Sets = Callable[[RevisionRecord], Awaitable[EvaluationSets]]
"""Gives what a revision is asked."""


class Assessment:
    """Judges revisions, step by step.

    Args:
        records: What is known of revisions.
        store: Where their bytes are.
        signatures: Looks at signatures.
        gate: Compares with what answers today.
        sets: What is asked.
        examine: Opens the engine that is asked.
        live: The experts.
        domains: Looks at experts that are not there yet.
        feed: Is told of changes.
        observer: Is told of bytes that have changed.
        forget: Called with the name of a revision whose bytes have.
    """

    def __init__(
        self,
        records: Records,
        store: RevisionStore,
        signatures: Signatures,
        gate: Gate,
        sets: Sets,
        examine: Examine,
        live: LiveCatalog,
        domains: Domains,
        feed: Feed,
        observer: Observer = UNOBSERVED,
        forget: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._records = records
        self._store = store
        self._signatures = signatures
        self._gate = gate
        self._sets = sets
        self._examine = examine
        self._live = live
        self._domains = domains
        self._feed = feed
        self._observer = observer
        self._forget = forget

    async def check(self, record: RevisionRecord) -> None:
        """Make sure of bytes and signature before a replica loads a revision.

        Raises:
            CorruptRevisionError: When its bytes are not what its digest says; it is never
                served, and the operator is told.
            RevisionRefusedError: When its signature does not count any more.
        """
        try:
            await asyncio.to_thread(self._store.verify, record.name)
            signed = await self._signatures.look(record)
        except (CorruptRevisionError, RevisionNotFoundError) as error:
            self._alarm(record, error.message)
            raise CorruptRevisionError(
                f"{record.name} is not what was uploaded: {error.message}; it is not served:"
                " upload it again, and look for what changed it",
                metadata={"revision": record.name},
            ) from error
        except ConfigError as error:
            raise RevisionRefusedError(
                f"{record.name}: {signers_unread(error)}", metadata={"revision": record.name}
            ) from error
        for finding in signed.findings:
            if finding.fatal:
                raise RevisionRefusedError(
                    f"{record.name}: {finding.message}; {finding.advice}",
                    metadata={"revision": record.name, "reason": finding.reason.value},
                )

    async def validate(self, job: Job) -> None:
        """Do what is left of validation once all bytes are here: bytes again, and signature."""
        record = await self._waiting(job, State.VALIDATING)
        if record is None:
            return
        try:
            await asyncio.to_thread(self._store.verify, record.name)
            signed = await self._signatures.look(record)
        except (CorruptRevisionError, RevisionNotFoundError) as error:
            self._alarm(record, error.message)
            signed = Verdict(findings=(found(Reason.DIGEST_MISMATCH, error.message),))
        findings = (*_kept(record), *signed.findings)
        if any(finding.fatal for finding in findings):
            await self._refuse(record, findings)
            return
        state = SignatureState.VERIFIED if signed.signer else SignatureState.ABSENT
        by = f", signed by {signed.signer}" if signed.signer else ""
        following = Job(
            job_id=f"evaluate-{record.name}-{job.job_id}",
            kind=JobKind.EVALUATE,
            revision=record.name,
            actor=job.actor,
        )
        await self._conclude(
            record,
            lambda store: store.happen(
                record.name,
                Event.VALIDATED,
                ROUTER,
                f"files and digests are in order{by}",
                findings=findings,
                signature=state,
                signer=signed.signer,
                job=following,
            ),
            lambda store: store.annotate(record.name, findings),
        )

    async def evaluate(self, job: Job) -> None:
        """Have a revision and what answers today asked the same, and judge."""
        record = await self._waiting(job, State.EVALUATING)
        if record is None:
            return
        experts = self._live.current
        if record.expert not in experts.experts and founds(record):
            look = await self._domains.look(record.name)
        else:
            # Where another router has just made it, it is not found yet: asked again later.
            look = Look(expert=experts.expert(record.expert))
        report = await self._examined(record, look)
        event = Event.PASSED if report.passed else Event.FAILED
        fatal = [finding.reason.value for finding in report.findings if finding.fatal]
        because = f"the gate refused it: {', '.join(fatal)}" if fatal else "the gate let it through"
        kept = (f for f in _kept(record) if f.reason is not Reason.DOMAIN_COLLISION)
        findings = (*kept, *report.findings)
        await self._conclude(
            record,
            lambda store: store.happen(
                record.name, event, ROUTER, because, findings=findings, report=report.document
            ),
            lambda store: store.annotate(record.name, findings, report.document),
        )

    async def _examined(self, record: RevisionRecord, look: Look) -> Report:
        """Ask a revision and what answers today; one whose expert cannot be is not asked."""
        expert = look.expert
        if expert is None or not look.passed:
            return Report(
                expert=record.expert,
                candidate=record.name,
                live="",
                passed=False,
                findings=look.findings,
                domain=look.outlook,
            )
        revision = expert.live_revision
        live = Contender(expert=expert, revision=revision) if revision else None
        candidate = Contender(expert=expert, revision=record.name)
        async with self._examine(expert.backend) as engine:
            report = await self._gate.evaluate(candidate, live, await self._sets(record), engine)
        findings = (*report.findings, *look.findings)
        return replace(report, findings=findings, domain=look.outlook)

    async def abandon(self, job: Job) -> None:
        """Take back a publication whose process died: the label has moved, or it never will."""
        record = await self._waiting(job, State.PUBLISHING)
        if record is None or await self._published_anew(job):
            return
        because = "the process that published it died; publish it again"
        await self._records.ask(
            lambda store: store.happen(record.name, Event.ABORTED, ROUTER, because)
        )
        self._feed.tell()

    async def _published_anew(self, job: Job) -> bool:
        """Tell whether a later call publishes the revision now; its own job looks after it."""
        jobs = await self._records.ask(lambda store: store.open_jobs(job.revision))
        return any(one.kind is JobKind.PUBLISH and one.job_id != job.job_id for one in jobs)

    async def give_up(self, job: Job, because: str) -> None:
        """Refuse a revision whose judgement cannot be brought to an end."""
        at = State.VALIDATING if job.kind is JobKind.VALIDATE else State.EVALUATING
        record = await self._waiting(job, at)
        if record is not None:
            finding = found(Reason.ENGINE_REFUSED, f"the evaluation did not end: {because}")
            await self._refuse(record, (*_kept(record), finding))

    async def _waiting(self, job: Job, state: State) -> RevisionRecord | None:
        """Give the revision of a job that is still to be done; None: it was done before."""
        record = await self._records.ask(lambda store: store.get(job.revision))
        return record if record is not None and record.state is state else None

    def _alarm(self, record: RevisionRecord, because: str) -> None:
        """Tell the operator that bytes in the store are not what they were."""
        log.event(logging.ERROR, "adapter.corrupt", revision=record.name, because=because)
        self._observer.adapter_corrupt()
        self._forget(record.name)

    async def _refuse(self, record: RevisionRecord, findings: tuple[Finding, ...]) -> None:
        reasons = ", ".join(finding.reason.value for finding in findings if finding.fatal)
        log.event(logging.WARNING, "adapter.refused", revision=record.name, because=reasons)
        await self._conclude(
            record,
            lambda store: store.happen(
                record.name, Event.FAILED, ROUTER, f"refused: {reasons}", findings=findings
            ),
            lambda store: store.annotate(record.name, findings),
        )

    async def _conclude(self, record: RevisionRecord, judge: Writes, annotate: Writes) -> None:
        """Let a verdict count; where a rollback was faster it is kept with the revision alone.

        Args:
            record: The revision as it stood when it was looked at.
            judge: Moves it on.
            annotate: Keeps what was found.

        Raises:
            InvalidTransitionError: When it stands elsewhere for another reason.
        """
        try:
            await self._records.ask(judge)
        except InvalidTransitionError:
            now = await self._records.ask(lambda s: s.get(record.name, with_report=False))
            if now is None or now.state not in {State.ACTIVE, State.RETIRED}:
                raise
            # Whoever went back to it knew that it was judged again, and has the last word.
            await self._records.ask(annotate)
            log.event(logging.WARNING, "adapter.verdict_late", revision=record.name)
        self._feed.tell()


def _kept(record: RevisionRecord) -> tuple[Finding, ...]:
    """Give the notes of the upload; what an earlier judgement refused is judged anew."""
    return tuple(finding for finding in record.findings if not finding.fatal)
