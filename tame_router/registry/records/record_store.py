"""The records of the registry: all that it knows of revisions, labels, jobs and calls."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, or_, select

from tame_router.registry.finding import Finding
from tame_router.registry.reason import OF_TRIALS
from tame_router.registry.record import ROUTER, Actor, Holding, JobKind
from tame_router.registry.records.job_store import JobStore
from tame_router.registry.records.label_store import LabelStore
from tame_router.registry.records.ledger import Clock, Kept, present
from tame_router.registry.records.life import (
    append_change,
    find_revision,
    need_revision,
    step,
    update_revision,
)
from tame_router.registry.records.request_store import RequestStore
from tame_router.registry.records.revision_records import RevisionRecords
from tame_router.registry.records.row import microseconds, read_holding
from tame_router.registry.records.schema import migrate
from tame_router.registry.records.tables import JOB, LABEL, LABEL_CHANGE, REVISION
from tame_router.registry.state import Event, State
from tame_router.store import Database


class RecordStore(RevisionRecords, LabelStore, JobStore, RequestStore):
    """Keeps the registry's records in a database. Synchronous; threads and processes share it.

    Args:
        database: Where the tables are, or are to be made.
        clock: Tells the time of changes, UTC.
        kept: Called after each change that is kept, by the thread that made it.

    Raises:
        ConfigError: When a newer version has changed the tables.
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(
        self, database: Database, clock: Clock = present, kept: Kept = lambda _: None
    ) -> None:
        migrate(database)
        super().__init__(database, clock, kept)

    def take_back(self, because: str) -> Sequence[str]:
        """Take back publications that nobody looks after any more, and name their revisions.

        Those are being published, and no job of that is open. They are approved again.

        Args:
            because: Why, for the list of changes.
        """
        at_work = select(JOB.c.job_id).where(
            JOB.c.revision == REVISION.c.name, JOB.c.kind == JobKind.PUBLISH, ~JOB.c.done
        )
        left = (REVISION.c.state == State.PUBLISHING) & ~at_work.exists()
        query = select(REVISION.c.name).where(left).order_by(REVISION.c.name)
        with self._database.transaction() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []  # as nearly always: nobody is kept waiting for it
        with self._changing() as writing:
            names = list(writing.connection.execute(query).scalars())
            for name in names:
                record = need_revision(writing.connection, name, with_report=False)
                step(writing, record, Event.ABORTED, ROUTER, because)
            return names

    def note_stay(self, name: str, finding: Finding) -> bool:
        """Note why a canary stays what it is, also in its history; once, however often it is said.

        Args:
            name: The canary.
            finding: Why; it stands in the place of other notes of the kind.

        Returns:
            Whether that was news of what is still a canary.
        """
        with self._changing() as writing:
            record = find_revision(writing.connection, name, with_report=False)
            tried = select(LABEL.c.expert).where(LABEL.c.canary == name)
            there = record is not None and writing.connection.execute(tried).first() is not None
            if record is None or not there or finding in record.findings:
                return False
            others = (one for one in record.findings if one.reason not in OF_TRIALS)
            update_revision(writing, record, findings=(*others, finding))
            because = f"{finding.message}; {finding.advice}"
            append_change(writing, record, record.state, ROUTER, because)
            return True

    def garbage(self, now: datetime, retention: timedelta) -> Sequence[str]:
        """Name the revisions whose bytes nobody needs any more, in order.

        Those are refused, retired or withdrawn longer ago than the retention; no label names
        them, no label did within it, no job for them is open, and none has made its expert.

        Args:
            now: The present moment, UTC.
            retention: How long they are kept.
        """
        since = microseconds(now - retention)
        query = select(REVISION.c.name).where(_idle(), REVISION.c.update_time_us < since)
        recent = LABEL_CHANGE.c.create_time_us >= since
        named = (LABEL_CHANGE.c.live, LABEL_CHANGE.c.canary, LABEL_CHANGE.c.live_before)
        for column in named:
            query = query.where(REVISION.c.name.not_in(select(column).where(recent)))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(REVISION.c.name)).scalars())

    def holdings(self, after: str, limit: int) -> Sequence[Holding]:
        """Tell what revisions hold of the store, in order of their names.

        Args:
            after: Only names behind this; empty: from the first.
            limit: Most of them, ≥ 1.
        """
        query = select(REVISION.c.name, REVISION.c.removed, REVISION.c.manifest)
        query = query.where(REVISION.c.name > after).order_by(REVISION.c.name).limit(limit)
        with self._database.transaction() as connection:
            return [read_holding(row) for row in connection.execute(query)]

    def mark_removed(self, name: str, actor: Actor = ROUTER) -> bool:
        """Note that a revision's bytes go, also in its history; to be called before they do.

        Args:
            name: The revision.
            actor: Who wants it.

        Returns:
            Whether they may go: False where it has come into use since it was named garbage.

        Raises:
            RevisionNotFoundError: When there is none of that name.
        """
        with self._changing() as writing:
            record = need_revision(writing.connection, name)
            mine = (REVISION.c.name == name) & _idle()
            removed = _set_removed(writing.connection, mine)
            if removed:
                append_change(writing, record, record.state, actor, "its bytes were removed")
            return removed


def _idle() -> ColumnElement[bool]:
    """Say of a revision that nothing uses it, however young it is."""
    ended = REVISION.c.state.in_([State.REJECTED, State.RETIRED])
    labelled = select(LABEL.c.expert).where(
        or_(LABEL.c.live == REVISION.c.name, LABEL.c.canary == REVISION.c.name)
    )
    # An expert that an upload made is made anew from it, by a router that comes later.
    described = REVISION.c.manifest.contains('"path":"expert.yaml"')
    first = (LABEL_CHANGE.c.generation == 1) & (LABEL_CHANGE.c.live == REVISION.c.name)
    founder = described & select(LABEL_CHANGE.c.expert).where(first).exists()
    at_work = select(JOB.c.job_id).where(JOB.c.revision == REVISION.c.name, ~JOB.c.done)
    needed = labelled.exists() | at_work.exists() | founder
    return ended & ~REVISION.c.removed & ~needed


def _set_removed(connection: Connection, which: ColumnElement[bool]) -> bool:
    statement = REVISION.update().where(which).values(removed=True)
    return connection.execute(statement).rowcount > 0
