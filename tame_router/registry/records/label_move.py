"""What moving a label writes: the label, its history, and the states of revisions with it.

And how that history is read as the chain that it is.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, inspect, or_, select, tuple_

from tame_router.audit.chain import Head
from tame_router.errors import RevisionNotFoundError
from tame_router.errors_registry import NothingToRestoreError
from tame_router.registry.reason import OF_TRIALS
from tame_router.registry.record import Action, Actor, Label, LabelChange, RevisionRecord
from tame_router.registry.records.label_line import CHAIN, link_move
from tame_router.registry.records.ledger import Writing
from tame_router.registry.records.life import find_revision, rejected, step, update_revision
from tame_router.registry.records.row import microseconds, write_label_change
from tame_router.registry.records.tables import COUNTER, LABEL, LABEL_CHANGE
from tame_router.registry.state import JUDGED, Event, State
from tame_router.registry.usable import rejection, require_kept


def lives(changes: Sequence[LabelChange]) -> list[str]:
    """Give what was live one after another, without what was rolled back; the last is live.

    Args:
        changes: All moves of one label, the oldest first.
    """
    found = [change.live_before for change in changes[:1]]
    for change in changes:
        live = change.label.live
        if change.action is Action.ROLLBACK and live in found:
            del found[len(found) - found[::-1].index(live) :]
        elif live != found[-1]:
            found.append(live)
    return found


def check_was_live(connection: Connection, expert: str, name: str) -> None:
    """Refuse to go back to what was never there.

    Args:
        connection: A transaction.
        expert: Whose label.
        name: What is to be live again; empty: the base model.

    Raises:
        NothingToRestoreError: When the history does not name it.
        RevisionNotFoundError: When it is another expert's.
    """
    there = or_(LABEL_CHANGE.c.live == name, LABEL_CHANGE.c.live_before == name)
    query = select(LABEL_CHANGE.c.generation).where(LABEL_CHANGE.c.expert == expert, there)
    if connection.execute(query.limit(1)).first() is not None:
        return
    record = find_revision(connection, name)
    if record is not None and record.expert != expert:
        raise RevisionNotFoundError(
            f"{expert} has no revision {name[:64]!r}; `tame adapter history {expert}` tells what"
            " was live",
            metadata={"expert": expert, "revision": name[:64]},
        )
    raise NothingToRestoreError(
        f"{called(name)} was never live for {expert}; publish it, or choose one of"
        f" `tame adapter history {expert}`",
        metadata={"expert": expert},
    )


def check_restorable(connection: Connection, name: str) -> RevisionRecord | None:
    """Refuse to go back to what may not answer again, and give its record; None: it has none.

    Args:
        connection: A transaction.
        name: The revision.

    Raises:
        RevisionRefusedError: When it was rejected, withdrawn or removed.
    """
    record = find_revision(connection, name, with_report=False)
    if record is None:
        return None
    require_kept(record)
    if rejected(connection, record):
        raise rejection(record)
    return record


def restart(writing: Writing, name: str, actor: Actor, because: str) -> None:
    """Let a revision become ACTIVE, by the steps that it takes from its state.

    Args:
        writing: The change that this is part of.
        name: The revision; where it has no record, nothing is done.
        actor: Who wanted it.
        because: Why.

    Raises:
        RevisionRefusedError: When it was rejected, withdrawn or removed.
    """
    record = check_restorable(writing.connection, name)
    if record is None:
        return
    if record.state is State.ACTIVE:
        step(writing, record, Event.PUBLISH, actor, because)
        return
    if record.state in JUDGED:  # once more, or where it came with the folder for the first time
        step(writing, record, Event.RESTORED, actor, because)
        return
    if record.state is not State.PUBLISHING:
        record = step(writing, record, Event.PUBLISH, actor, because)
    step(writing, record, Event.PREPARED, actor, because)


def move_label(
    writing: Writing,
    label: Label,
    moved: Label,
    live_before: str,
    action: Action,
    actor: Actor,
    because: str,
) -> Label:
    """Put a label where it is to be, and retire what it names no more.

    Args:
        writing: The change that this is part of.
        label: As it stands.
        moved: As it is to be.
        live_before: What was live.
        action: What moves it.
        actor: Who wanted it.
        because: Why.

    Returns:
        The label as it is kept.
    """
    moved = dataclasses.replace(moved, generation=label.generation + 1, update_time=writing.now)
    for name in sorted({live_before, label.canary} - {moved.live, moved.canary, ""}):
        record = find_revision(writing.connection, name)
        if record is not None and record.state is State.ACTIVE:
            step(writing, record, Event.REPLACED, actor, because)
    for name in sorted({live_before, label.canary, moved.live, moved.canary} - {""}):
        _end_notes(writing, name)
    values = {
        "live": moved.live,
        "canary": moved.canary,
        "canary_share": moved.canary_share,
        "mode": moved.mode,
        "generation": moved.generation,
        "update_time_us": microseconds(writing.now),
    }
    if label.generation:
        mine = LABEL.c.expert == label.expert
        writing.connection.execute(LABEL.update().where(mine).values(values))
    else:
        writing.connection.execute(LABEL.insert().values(expert=label.expert, **values))
    change = LabelChange(
        label=moved,
        live_before=live_before,
        action=action,
        actor=actor,
        because=because,
        create_time=writing.now,
    )
    head = Head(chain=CHAIN, seq=writing.generation, digest=writing.history)
    row = write_label_change(change)
    previous, head = link_move(head, row)
    row |= {"number": head.seq, "previous": previous}
    writing.connection.execute(LABEL_CHANGE.insert().values(row))
    writing.generation, writing.history = head.seq, head.digest
    writing.moves.append(change)
    return moved


def _end_notes(writing: Writing, name: str) -> None:
    """Forget why a canary stayed what it was: it does not any more."""
    record = find_revision(writing.connection, name, with_report=False)
    if record is not None and any(one.reason in OF_TRIALS for one in record.findings):
        left = tuple(one for one in record.findings if one.reason not in OF_TRIALS)
        update_revision(writing, record, findings=left)


def chained(connection: Connection) -> bool:
    """Tell whether the registry's tables are there, and of a version that chains moves."""
    tables = inspect(connection)
    if not tables.has_table(COUNTER.name):
        return False
    return COUNTER.c.history.name in {one["name"] for one in tables.get_columns(COUNTER.name)}


def read_head(connection: Connection) -> Head:
    """Give the head of the moves' chain, as it is kept; where its row was taken away: nothing."""
    row = connection.execute(select(COUNTER).order_by(COUNTER.c.id)).first()
    if row is None:
        return Head(chain=CHAIN)
    return Head(chain=CHAIN, seq=row.generation, digest=str(row.history))


def read_labels(connection: Connection) -> Sequence[Row[Any]]:
    """Give all labels."""
    return connection.execute(select(LABEL)).all()


def read_moves(
    connection: Connection, most: int, last: Row[Any] | None = None
) -> Sequence[Row[Any]]:
    """Give some moves of all labels, in the order of their chain.

    Args:
        connection: A transaction.
        most: How many at the most.
        last: Those behind this one; None: from the first.
    """
    order = (LABEL_CHANGE.c.number, LABEL_CHANGE.c.expert, LABEL_CHANGE.c.generation)
    query = select(LABEL_CHANGE).order_by(*order).limit(most)
    if last is not None:
        query = query.where(tuple_(*order) > tuple_(last.number, last.expert, last.generation))
    return connection.execute(query).all()


def called(name: str) -> str:
    """Say what answers, where a name may be empty."""
    return repr(name[:64]) if name else "the base model without adapter"
