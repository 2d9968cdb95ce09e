"""Where revisions are kept, with every step of their lives that the table of states allows."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, select

from tame_router.errors import AlreadyExistsError
from tame_router.errors_registry import InvalidTransitionError
from tame_router.registry.finding import Finding
from tame_router.registry.record import Actor, Job, RevisionRecord, SignatureState, StateChange
from tame_router.registry.records.job_store import insert_job
from tame_router.registry.records.ledger import Ledger, Writing
from tame_router.registry.records.life import (
    BRIEF,
    append_change,
    find_revision,
    labelled,
    need_revision,
    step,
    update_revision,
)
from tame_router.registry.records.page_token import read_token
from tame_router.registry.records.row import read_revision, read_state_change, write_revision
from tame_router.registry.records.tables import REVISION, STATE_CHANGE
from tame_router.registry.state import Event, State, next_state
from tame_router.registry.usable import require_kept

LABELS_OWN = frozenset({Event.PREPARED, Event.REPLACED, Event.RESTORED})
"""What happens to a revision only together with a move of its expert's label."""


class RevisionRecords(Ledger):
    """Keeps revisions. Two that change the same one come one after another."""

    def add(
        self, record: RevisionRecord, actor: Actor, because: str, *, job: Job | None = None
    ) -> RevisionRecord:
        """Add a revision whose bytes are kept, or give the one that is known by its name.

        Bytes that were collected as garbage count as there again.

        Args:
            record: The revision, in the state VALIDATING.
            actor: Who brought it.
            because: Why, for the list of changes.
            job: What is to be done with it, added with it; a known one gets none.

        Raises:
            AlreadyExistsError: When another manifest has the same name.
        """
        if record.state is not State.VALIDATING:
            raise RuntimeError(f"a revision begins as validating, not as {record.state}")
        with self._changing() as writing:
            known = find_revision(writing.connection, record.name)
            if known is None:
                row = write_revision(record, writing.sequence + 1)
                writing.connection.execute(REVISION.insert().values(row))
                append_change(writing, record, None, actor, because)
                _add_job(writing, job)
                return record
            if known.digest != record.digest:
                raise AlreadyExistsError(
                    f"the name {record.name!r} is that of another revision, with digest"
                    f" {known.digest}; change a byte of the card to get another name",
                    metadata={"revision": record.name},
                )
            if not known.removed:
                return known
            append_change(writing, known, known.state, actor, "its bytes were uploaded again")
            return update_revision(writing, known, removed=False)

    def get(self, name: str, with_report: bool = True) -> RevisionRecord | None:
        """Give a revision; None: there is none of that name."""
        with self._database.transaction() as connection:
            return find_revision(connection, name, with_report=with_report)

    def need(self, name: str) -> RevisionRecord:
        """Give a revision without its report.

        Raises:
            RevisionNotFoundError: When there is none of that name.
        """
        with self._database.transaction() as connection:
            return need_revision(connection, name, with_report=False)

    def list(
        self,
        experts: Collection[str] | None = None,
        states: Collection[State] = (),
        limit: int = 100,
        after: str = "",
    ) -> tuple[Sequence[RevisionRecord], str]:
        """Give a page of revisions without their reports, the newest first.

        Args:
            experts: Only of these; None: of all.
            states: Only in these; empty: in any.
            limit: Most of them, ≥ 1.
            after: Token that came with the page before; empty: the first page.

        Returns:
            The page, and the token of the next; empty: this was the last.

        Raises:
            InvalidRequestError: When the token is none.
        """
        # The page is chosen by an index alone; then its rows are read, which are long.
        page = select(REVISION.c.number).order_by(REVISION.c.number.desc()).limit(limit + 1)
        if experts is not None:
            page = page.where(REVISION.c.expert.in_(sorted(experts)))
        if states:
            page = page.where(REVISION.c.state.in_(sorted(states)))
        if after:
            page = page.where(REVISION.c.number < read_token(after))
        chosen = REVISION.c.number.in_(page.subquery().select())
        query = select(*BRIEF).where(chosen).order_by(REVISION.c.number.desc())
        with self._database.transaction() as connection:
            rows = list(connection.execute(query))
        records = [read_revision(row) for row in rows[:limit]]
        return records, str(rows[limit - 1].number) if len(rows) > limit else ""

    def happen(
        self,
        name: str,
        event: Event,
        actor: Actor,
        because: str,
        *,
        findings: Sequence[Finding] | None = None,
        report: str | None = None,
        signature: SignatureState | None = None,
        signer: str | None = None,
        job: Job | None = None,
    ) -> RevisionRecord:
        """Let something happen to a revision.

        Where it leaves the state as it is, nothing is added to the list of changes: a canary
        that is to become live appears there when it does.

        Args:
            name: The revision.
            event: What; not what only a label's move causes.
            actor: Who caused it.
            because: Why, for the list of changes.
            findings: Stand in the place of those before; None: they stay.
            report: Likewise.
            signature: Likewise.
            signer: Likewise.
            job: What is to be done next, added with the change. Where it is known by its id this
                is the same call again, and nothing happens.

        Raises:
            RevisionNotFoundError: When there is none of that name.
            RevisionRefusedError: When it was withdrawn or removed, and is to be published.
            InvalidTransitionError: When that cannot happen to it where it stands.
        """
        if event in LABELS_OWN:
            raise RuntimeError(f"{event} comes with a label's move: publish, or rollback")
        if event is Event.RETIRE:
            raise RuntimeError("a revision is retired by withdraw")
        values: dict[str, Any] = {
            "findings": None if findings is None else tuple(findings),
            "report": report,
            "signature": signature,
            "signer": signer,
        }
        values = {name: value for name, value in values.items() if value is not None}
        with self._changing() as writing:
            record = need_revision(writing.connection, name)
            if event in {Event.PUBLISH, Event.EVALUATE}:
                require_kept(record)
            if not _add_job(writing, job):
                return record
            if next_state(record.state, event) is record.state:
                return update_revision(writing, record, **values)
            return step(writing, record, event, actor, because, **values)

    def annotate(
        self, name: str, findings: Sequence[Finding], report: str | None = None
    ) -> RevisionRecord:
        """Keep what a judgement found that came too late to change where a revision stands.

        Args:
            name: The revision.
            findings: Stand in the place of those before.
            report: Likewise; None: it stays.

        Raises:
            RevisionNotFoundError: When there is none of that name.
        """
        values: dict[str, Any] = {"findings": tuple(findings)}
        if report is not None:
            values["report"] = report
        with self._changing() as writing:
            return update_revision(writing, need_revision(writing.connection, name), **values)

    def withdraw(self, name: str, actor: Actor, because: str) -> RevisionRecord:
        """Withdraw a revision that does not answer, for good; again, it changes nothing.

        Raises:
            RevisionNotFoundError: When there is none of that name.
            InvalidTransitionError: When it cannot be withdrawn where it stands, or a label names
                it.
        """
        with self._changing() as writing:
            record = need_revision(writing.connection, name)
            if record.withdrawn:
                return record
            if labelled(writing.connection, name):
                raise InvalidTransitionError(
                    f"the revision {name} answers for {record.expert} now; roll back first",
                    metadata={"state": str(record.state), "event": str(Event.RETIRE)},
                )
            return step(writing, record, Event.RETIRE, actor, because, withdrawn=True)

    def changes(
        self,
        after_sequence: int,
        experts: Collection[str] | None = None,
        limit: int = 1000,
        *,
        revision: str = "",
    ) -> Sequence[StateChange]:
        """Give changes of state, the oldest first.

        Args:
            after_sequence: Only those with a higher number.
            experts: Only of these; None: of all.
            limit: Most of them.
            revision: Only of this; empty: of all.
        """
        query = select(STATE_CHANGE).where(STATE_CHANGE.c.sequence > after_sequence)
        if experts is not None:
            query = query.where(STATE_CHANGE.c.expert.in_(sorted(experts)))
        if revision:
            query = query.where(STATE_CHANGE.c.revision == revision)
        query = query.order_by(STATE_CHANGE.c.sequence).limit(limit)
        with self._database.transaction() as connection:
            return [read_state_change(row) for row in connection.execute(query)]

    def last_sequence(self, revision: str = "") -> int:
        """Give the number of the last change of state; 0: there was none.

        Args:
            revision: Of this; empty: of all.
        """
        query = select(func.max(STATE_CHANGE.c.sequence))
        if revision:
            query = query.where(STATE_CHANGE.c.revision == revision)
        with self._database.transaction() as connection:
            return int(connection.execute(query).scalar() or 0)

    def tenant_bytes(self, tenant: str) -> int:
        """Add up the bytes of a tenant's revisions that were not removed."""
        mine = (REVISION.c.tenant == tenant) & ~REVISION.c.removed
        query = select(func.coalesce(func.sum(REVISION.c.size_bytes), 0)).where(mine)
        with self._database.transaction() as connection:
            return int(connection.execute(query).scalar_one())


def _add_job(writing: Writing, job: Job | None) -> bool:
    """Add a job, where there is one; False: it is known."""
    return job is None or insert_job(writing, job) is job
