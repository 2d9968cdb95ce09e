"""Where it is kept which revision of an expert answers, and every move of that label.

A move is one transaction: the label, its history, and the states of the revisions that begin
and cease to answer change together or not at all.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from tame_router.errors_registry import LabelMovedError, NothingToRestoreError, RevisionRefusedError
from tame_router.registry.record import (
    ROUTER,
    Action,
    Actor,
    Call,
    Label,
    LabelChange,
    Mode,
    RevisionRecord,
)
from tame_router.registry.records.label_move import (
    called,
    check_restorable,
    check_was_live,
    lives,
    move_label,
    restart,
)
from tame_router.registry.records.label_target import action_of, published, same
from tame_router.registry.records.ledger import Ledger, Writing
from tame_router.registry.records.life import find_revision, need_revision, step
from tame_router.registry.records.page_token import read_token
from tame_router.registry.records.request_store import find_outcome, insert_outcome
from tame_router.registry.records.row import read_label, read_label_change
from tame_router.registry.records.tables import LABEL, LABEL_CHANGE
from tame_router.registry.request import require_share
from tame_router.registry.state import Event, State
from tame_router.registry.usable import require_kept


class LabelStore(Ledger):
    """Keeps labels. Two that move the same one come one after another."""

    def label(self, expert: str) -> Label:
        """Give an expert's label; of generation 0 where it never moved."""
        with self._database.transaction() as connection:
            return _label(connection, expert)

    def labels(self) -> dict[str, Label]:
        """Give the labels that have moved, by expert, as they stand at one moment."""
        with self._database.transaction() as connection:
            return {row.expert: read_label(row) for row in connection.execute(select(LABEL))}

    def done(self, call: Call | None) -> Label | None:
        """Give the label as a call left it; None: it was not done yet, or nothing names it."""
        with self._database.transaction() as connection:
            return _done(connection, call)

    def publish(
        self,
        name: str,
        canary_share: float | None,
        live_before: str,
        expected_generation: int | None,
        actor: Actor,
        because: str,
        *,
        call: Call | None = None,
        shadow: bool = False,
    ) -> Label:
        """Let a revision answer that replicas are ready for. Published so already: no change.

        Args:
            name: The revision: PUBLISHING, or the ACTIVE one of a canary.
            canary_share: Share of the conversations that it answers, in [0.001, 1); None: all.
            live_before: What is live where the label never moved; empty: the base model.
            expected_generation: Generation that the label must have; None: any.
            actor: Who wanted it.
            because: Why.
            call: Done once: sent again, it gives the label as it was then; None: nothing.
            shadow: It is to answer copies of its share, and nobody gets these answers.

        Raises:
            InvalidRequestError: When the share is out of its range.
            RevisionNotFoundError: When there is none of that name.
            RevisionRefusedError: When it was withdrawn or removed.
            InvalidTransitionError: When it is not being published, or is live and wanted as a
                canary.
            LabelMovedError: When the label has another generation.
        """
        if canary_share is not None:
            require_share(canary_share, "shadow_share" if shadow else "canary_share")
        with self._changing() as writing:
            done = _done(writing.connection, call)
            if done is not None:
                return done
            record = need_revision(writing.connection, name)
            label = _expected(writing.connection, record.expert, expected_generation)
            live = _live(label, live_before)
            require_kept(record)
            moved = published(record, live, label.canary, canary_share, shadow=shadow)
            if not (label.generation and same(label, moved)):
                started = Event.PUBLISH if record.state is State.ACTIVE else Event.PREPARED
                step(writing, record, started, actor, because)
                action = action_of(moved)
                label = move_label(writing, label, moved, live, action, actor, because)
            return _note(writing, call, label)

    def prove(self, expert: str, shadow: str, because: str) -> Label:
        """Note that a shadow was found good: it is asked no more, and waits for somebody.

        Args:
            expert: Whose label.
            shadow: Name of the shadow.
            because: What was found.

        Raises:
            LabelMovedError: When it is no shadow any more.
        """
        with self._changing() as writing:
            label = _label(writing.connection, expert)
            if (label.canary, label.mode) != (shadow, Mode.SHADOW):
                raise LabelMovedError(
                    f"{shadow} is no shadow of {expert!r} any more: somebody has moved the label",
                    metadata={"expert": expert, "generation": str(label.generation)},
                )
            record = need_revision(writing.connection, shadow)
            step(writing, record, Event.PROVE, ROUTER, because)
            proven = replace(label, mode=Mode.PROVEN)
            return move_label(writing, label, proven, label.live, Action.PROVE, ROUTER, because)

    def rollback(
        self,
        expert: str,
        to: str,
        live_before: str,
        expected_generation: int | None,
        actor: Actor,
        because: str,
        *,
        call: Call | None = None,
    ) -> Label:
        """Let what was live before be so again; going back to the live one ends a canary.

        Args:
            expert: Whose label.
            to: The revision, which may have no record; empty: the base model.
            live_before: What is live where the label never moved; empty: the base model.
            expected_generation: Generation that the label must have; None: any.
            actor: Who wanted it.
            because: Why.
            call: As for `publish`; a rollback that is sent again must not go further back.

        Raises:
            NothingToRestoreError: When it is live alone already, or never was.
            RevisionNotFoundError: When it is another expert's.
            RevisionRefusedError: When it was rejected, withdrawn or removed.
            LabelMovedError: When the label has another generation.
        """
        with self._changing() as writing:
            done = _done(writing.connection, call)
            if done is not None:
                return done
            label = _expected(writing.connection, expert, expected_generation)
            live = _live(label, live_before)
            if to == live and not label.canary:
                raise NothingToRestoreError(
                    f"{called(to)} answers for {expert} already, and there is no canary to end",
                    metadata={"expert": expert},
                )
            if to != live:
                check_was_live(writing.connection, expert, to)
                restart(writing, to, actor, because)
            moved = Label(expert=expert, live=to)
            label = move_label(writing, label, moved, live, Action.ROLLBACK, actor, because)
            return _note(writing, call, label)

    def history(
        self, expert: str, limit: int = 100, after: str = ""
    ) -> tuple[Sequence[LabelChange], str]:
        """Give a page of a label's moves, the newest first.

        Args:
            expert: Whose label.
            limit: Most of them, ≥ 1.
            after: Token that came with the page before; empty: the first page.

        Returns:
            The page, and the token of the next; empty: this was the last.

        Raises:
            InvalidRequestError: When the token is none.
        """
        query = select(LABEL_CHANGE).where(LABEL_CHANGE.c.expert == expert)
        if after:
            query = query.where(LABEL_CHANGE.c.generation < read_token(after))
        query = query.order_by(LABEL_CHANGE.c.generation.desc()).limit(limit + 1)
        with self._database.transaction() as connection:
            found = [read_label_change(row) for row in connection.execute(query)]
        page = found[:limit]
        return page, str(page[-1].label.generation) if len(found) > limit else ""

    def founder(self, expert: str) -> RevisionRecord | None:
        """Give the revision that an expert's label named first; None: there is none."""
        first = (LABEL_CHANGE.c.expert == expert) & (LABEL_CHANGE.c.generation == 1)
        with self._database.reading() as connection:
            name = connection.execute(select(LABEL_CHANGE.c.live).where(first)).scalar()
            return find_revision(connection, name, with_report=False) if name else None

    def check_restorable(self, expert: str, name: str) -> None:
        """Refuse to go back to what has not answered, or may not again, before it is loaded.

        Args:
            expert: Whose label.
            name: The revision.

        Raises:
            NothingToRestoreError: When it never was live.
            RevisionNotFoundError: When it is another expert's.
            RevisionRefusedError: When it was rejected, withdrawn or removed.
        """
        with self._database.reading() as connection:
            check_was_live(connection, expert, name)
            check_restorable(connection, name)

    def previous(self, expert: str) -> str | None:
        """Give what a rollback goes back to: what was live before the live one became so.

        What was rolled back from is not gone back to: two rollbacks go two steps. Revisions
        that may not answer again are passed over.

        Returns:
            The revision, which may have no record; empty: the base model; None: there is none.
        """
        query = select(LABEL_CHANGE).where(LABEL_CHANGE.c.expert == expert)
        with self._database.reading() as connection:
            ordered = connection.execute(query.order_by(LABEL_CHANGE.c.generation))
            before = lives([read_label_change(row) for row in ordered])
            live = before.pop() if before else ""
            while before:
                name = before.pop()
                if name != live and _restorable(connection, name):
                    return name
        return None


def _done(connection: Connection, call: Call | None) -> Label | None:
    """Give the label as a call left it; None: it was not done yet."""
    outcome = None if call is None else find_outcome(connection, call)
    if outcome is None:
        return None
    found = json.loads(outcome)
    query = select(LABEL_CHANGE).where(LABEL_CHANGE.c.expert == found["expert"])
    query = query.where(LABEL_CHANGE.c.generation == found["generation"])
    return read_label_change(connection.execute(query).one()).label


def _note(writing: Writing, call: Call | None, label: Label) -> Label:
    """Keep what a call came to, in the transaction that does it, and give the label."""
    if call is not None:
        outcome = {"expert": label.expert, "generation": label.generation}
        insert_outcome(writing, call, json.dumps(outcome))
    return label


def _restorable(connection: Connection, name: str) -> bool:
    try:
        check_restorable(connection, name)
    except RevisionRefusedError:
        return False
    return True


def _label(connection: Connection, expert: str) -> Label:
    row = connection.execute(select(LABEL).where(LABEL.c.expert == expert)).one_or_none()
    return Label(expert=expert) if row is None else read_label(row)


def _expected(connection: Connection, expert: str, generation: int | None) -> Label:
    label = _label(connection, expert)
    if generation is not None and generation != label.generation:
        raise LabelMovedError(
            f"the label of {expert} has generation {label.generation}, not {generation}: somebody"
            " moved it; look at it again, then decide",
            metadata={"expert": expert, "generation": str(label.generation)},
        )
    return label


def _live(label: Label, live_before: str) -> str:
    return label.live if label.generation else live_before
