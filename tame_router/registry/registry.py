"""The registry: what can be asked of it, for any caller; who may is decided before."""

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace

from tame_router.errors import RevisionNotFoundError
from tame_router.registry.canary.witness import Witness
from tame_router.registry.feed import Feed
from tame_router.registry.garbage import Garbage
from tame_router.registry.jobs.worker import Worker
from tame_router.registry.manifest import REVISION_NAME
from tame_router.registry.record import (
    Actor,
    Job,
    JobKind,
    Label,
    RevisionRecord,
    StateChange,
)
from tame_router.registry.records.access import Records
from tame_router.registry.request import (
    Announcement,
    Collected,
    HistoryPage,
    Page,
    Publication,
    Published,
    Wanted,
)
from tame_router.registry.rollout.publication import Publisher
from tame_router.registry.rollout.restoration import Restorer, Rollback
from tame_router.registry.state import Event, State
from tame_router.registry.unbroken import unbroken
from tame_router.registry.uploading.intake import Intake, Session
from tame_router.registry.usable import folder_revision, unknown_revision
from tame_router.telemetry import log


class Registry:
    """Keeps adapters and lets them answer.

    Args:
        records: What is known of revisions.
        intake: Takes uploads.
        publisher: Publishes.
        restorer: Goes back.
        garbage: Removes what nothing needs.
        feed: Tells changes.
        workers: Do long steps.
        witness: Sees answers, for the sake of canaries.
        own: Gives the revision in an expert's own folder; empty: it has none.
        known: Tells whether an expert of a name answers here.

    Attributes:
        witness: As above.
    """

    def __init__(
        self,
        records: Records,
        intake: Intake,
        publisher: Publisher,
        restorer: Restorer,
        garbage: Garbage,
        feed: Feed,
        workers: Sequence[Worker],
        witness: Witness,
        own: Callable[[str], str],
        known: Callable[[str], bool],
    ) -> None:
        self._records = records
        self._intake = intake
        self._publisher = publisher
        self._restorer = restorer
        self._garbage = garbage
        self._feed = feed
        self._workers = workers
        self.witness = witness
        self._own = own
        self._answers = known

    def uploading(
        self, announced: Announcement, actor: Actor, *, dry: bool = False
    ) -> AbstractAsyncContextManager[Session]:
        """Open an upload, or go on with one; a dry one keeps nothing.

        Raises:
            UploadError: When what is announced cannot be taken.
            StorageFullError: When there is no room for it.
        """
        return self._intake.uploading(announced, actor, self._new, dry=dry)

    async def has_expert(self, expert: str) -> bool:
        """Tell whether there is such an expert: it answers here, or somebody brought a revision."""
        if self._answers(expert):
            return True
        brought, _ = await self._records.ask(lambda s: s.list({expert}, frozenset(), 1, ""))
        return bool(brought)

    async def revision(self, name: str, *, with_report: bool = True) -> RevisionRecord | None:
        """Give a revision; None: there is none of that name."""
        return await self._records.ask(lambda store: store.get(name, with_report))

    async def absent(self, name: str) -> RevisionNotFoundError:
        """Give what is said of a revision of which there is no record."""
        match = REVISION_NAME.fullmatch(name)
        expert = match["expert"] if match else ""
        if not expert or self._own(expert) != name:
            return unknown_revision(name)
        label = await self._records.ask(lambda store: store.label(expert))
        return folder_revision(name, expert, live=not label.generation or label.live == name)

    async def revisions(self, experts: Collection[str] | None, wanted: Wanted) -> Page:
        """Give a page of revisions.

        Args:
            experts: Of these; None: of all.
            wanted: Which, and which page of them.

        Raises:
            InvalidRequestError: When the page's token is none.
        """
        records, token = await self._records.ask(
            lambda s: s.list(experts, wanted.states, wanted.page_size, wanted.page_token)
        )
        labels = await self._records.ask(lambda store: store.labels())
        shown = sorted({record.expert for record in records} & labels.keys())
        return Page(
            records=tuple(records),
            next_page_token=token,
            labels=tuple(labels[expert] for expert in shown),
        )

    async def evaluate(self, name: str, request_id: str, actor: Actor) -> RevisionRecord:
        """Have a revision evaluated again; one that was refused is checked anew first.

        The same `request_id` does it once.

        Raises:
            RevisionNotFoundError: When there is no such revision.
            InvalidTransitionError: When it cannot be evaluated where it stands.
        """
        record = await self._records.ask(lambda store: store.need(name))
        kind = JobKind.VALIDATE if record.state is State.REJECTED else JobKind.EVALUATE
        # A job's id is unique: the same call again finds its job, and changes nothing. What kind
        # it is does not count, as the first call has changed where the revision stands.
        given = f"{actor.tenant}/{request_id}" if request_id else uuid.uuid4().hex
        job = Job(job_id=f"again-{name}-{given}", kind=kind, revision=name, actor=actor)
        because = "an evaluation was asked for"
        try:
            return await self._records.ask(
                lambda s: s.happen(name, Event.EVALUATE, actor, because, job=job)
            )
        finally:
            self._new()  # also for a caller that has left meanwhile

    async def publish(self, publication: Publication, actor: Actor) -> Published:
        """Let a revision answer.

        Raises:
            TameError: As `Publisher.publish` does.
        """
        try:
            return await self._publisher.publish(publication, actor)
        finally:
            self._feed.tell()

    async def rollback(self, wanted: Rollback, actor: Actor) -> Label:
        """Let an earlier revision answer again, or end a canary.

        Raises:
            TameError: As `Restorer.rollback` does.
        """
        try:
            return await self._restorer.rollback(wanted, actor)
        finally:
            self._feed.tell()

    async def retire(self, name: str, actor: Actor) -> RevisionRecord:
        """Withdraw a revision that does not answer.

        Raises:
            RevisionNotFoundError: When there is no such revision.
            InvalidTransitionError: When it answers, or is on its way to.
        """
        return await self._records.ask(lambda s: s.withdraw(name, actor, "it was withdrawn"))

    async def history(self, expert: str, page_size: int, page_token: str) -> HistoryPage:
        """Give a page of the moves of an expert's label.

        Raises:
            InvalidRequestError: When the page's token is none.
        """
        changes, token = await self._records.ask(
            lambda store: store.history(expert, page_size, page_token)
        )
        label = await self._records.ask(lambda store: store.label(expert))
        if not label.generation:  # it never moved: what lies in the expert's folder is live
            label = replace(label, live=self._own(expert))
        return HistoryPage(changes=tuple(changes), next_page_token=token, label=label)

    @asynccontextmanager
    async def watching(
        self, name: str, experts: Collection[str] | None, after_sequence: int | None
    ) -> AsyncIterator[AsyncIterator[tuple[StateChange, RevisionRecord]]]:
        """Open the changes of state, each with the revision after it.

        Args:
            name: Of this revision; empty: of all.
            experts: Of these experts' revisions; None: of all.
            after_sequence: Those with a higher number come first; None: those to come, behind the
                present state of the revision that is named.
        """
        after = await self._feed.start(name) if after_sequence is None else after_sequence
        async with aclosing(self._feed.changes(after, experts, name)) as changes:
            yield changes

    def end_watching(self) -> None:
        """End all watching: the router stops, and nobody is to hold it up."""
        self._feed.end()

    async def collect(self, actor: Actor, *, dry_run: bool) -> Collected:
        """Remove what nothing needs, or tell what that is; histories keep what was removed."""
        # Whoever leaves meanwhile does not stop it: what it takes must be told.
        return await unbroken(self._collect(actor, dry_run=dry_run))

    async def _collect(self, actor: Actor, *, dry_run: bool) -> Collected:
        collected = await self._garbage.collect(actor, dry_run=dry_run)
        if not dry_run:
            log.event(
                logging.INFO,
                "adapter.collected",
                revisions=collected.revisions,
                strays=collected.strays,
                contents=collected.contents,
                damaged=collected.damaged,
                freed_bytes=collected.freed_bytes,
                uploads=collected.uploads,
                tenant=actor.tenant,
                subject=actor.subject,
                peer=actor.peer,
            )
            self._feed.tell()
        return collected

    def _new(self) -> None:
        """Let workers and watchers look: there is something new."""
        for worker in self._workers:
            worker.wake()
        self._feed.tell()
