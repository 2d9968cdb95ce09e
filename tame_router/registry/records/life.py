"""How a revision is read, moved on and remembered within a change of the records."""

import dataclasses
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from tame_router.registry.record import Actor, RevisionRecord
from tame_router.registry.records.ledger import Writing
from tame_router.registry.records.row import (
    microseconds,
    read_revision,
    write_actor,
    write_findings,
)
from tame_router.registry.records.tables import LABEL, REVISION, STATE_CHANGE
from tame_router.registry.state import JUDGED, Event, State, next_state
from tame_router.registry.usable import unknown_revision

BRIEF = [column for column in REVISION.c if column is not REVISION.c.report]
"""What a list is made of: reports are long."""


def find_revision(
    connection: Connection, name: str, *, with_report: bool = True
) -> RevisionRecord | None:
    """Read a revision; None: there is none of that name."""
    query: Select[Any] = select(REVISION) if with_report else select(*BRIEF)
    row = connection.execute(query.where(REVISION.c.name == name)).one_or_none()
    return None if row is None else read_revision(row)


def need_revision(connection: Connection, name: str, *, with_report: bool = True) -> RevisionRecord:
    """Read a revision that must be there.

    Raises:
        RevisionNotFoundError: When there is none of that name.
    """
    record = find_revision(connection, name, with_report=with_report)
    if record is None:
        raise unknown_revision(name)
    return record


def labelled(connection: Connection, name: str) -> bool:
    """Tell whether a label names a revision, as live or as canary."""
    named = or_(LABEL.c.live == name, LABEL.c.canary == name)
    return connection.execute(select(LABEL.c.expert).where(named).limit(1)).first() is not None


def rejected(connection: Connection, record: RevisionRecord) -> bool:
    """Tell whether the last judgement of a revision refused it; one that goes on says nothing."""
    if record.state not in JUDGED:
        return record.state is State.REJECTED
    verdicts = STATE_CHANGE.c.state.in_([State.APPROVED, State.REJECTED])
    query = select(STATE_CHANGE.c.state).where(STATE_CHANGE.c.revision == record.name, verdicts)
    last = connection.execute(query.order_by(STATE_CHANGE.c.sequence.desc()).limit(1)).scalar()
    return last == State.REJECTED


def step(
    writing: Writing,
    record: RevisionRecord,
    event: Event,
    actor: Actor,
    because: str,
    **values: Any,
) -> RevisionRecord:
    """Move a revision on, and add that to the list of changes.

    Args:
        writing: The change that this is part of.
        record: The revision as it stands.
        event: What happened to it; ABORTED counts as RETURNED where it was retired before.
        actor: Who caused it.
        because: Why.
        **values: Fields of the record that change with it.

    Raises:
        InvalidTransitionError: When that cannot happen to it where it stands.
    """
    if event is Event.ABORTED and _came_from(writing.connection, record) is State.RETIRED:
        event = Event.RETURNED
    state = next_state(record.state, event)
    moved = update_revision(writing, record, state=state, update_time=writing.now, **values)
    append_change(writing, moved, record.state, actor, because)
    return moved


def _came_from(connection: Connection, record: RevisionRecord) -> State | None:
    """Tell where a revision stood before it came to where it stands; None: nowhere."""
    into = (STATE_CHANGE.c.revision == record.name) & (STATE_CHANGE.c.state == record.state)
    query = select(STATE_CHANGE.c.before).where(into).order_by(STATE_CHANGE.c.sequence.desc())
    before = connection.execute(query.limit(1)).scalar()
    return State(before) if before else None


def update_revision(writing: Writing, record: RevisionRecord, **values: Any) -> RevisionRecord:
    """Change fields of a revision's record."""
    written = dict(values)
    if "findings" in values:
        written["findings"] = write_findings(values["findings"])
    if "update_time" in values:
        written["update_time_us"] = microseconds(written.pop("update_time"))
    if written:
        mine = REVISION.c.name == record.name
        writing.connection.execute(REVISION.update().where(mine).values(written))
    return dataclasses.replace(record, **values)


def append_change(
    writing: Writing, record: RevisionRecord, before: State | None, actor: Actor, because: str
) -> None:
    """Add a revision's step to the list of changes; `before` is None for its first.

    What leaves the state as it is is there too, and is no step for those who count them.
    """
    writing.sequence += 1
    row = {
        "sequence": writing.sequence,
        "revision": record.name,
        "expert": record.expert,
        "before": before or "",
        "state": record.state,
        "because": because,
        "create_time_us": microseconds(writing.now),
        **write_actor(actor),
    }
    writing.connection.execute(STATE_CHANGE.insert().values(row))
    if before is not record.state:
        writing.states.append(record.state)
