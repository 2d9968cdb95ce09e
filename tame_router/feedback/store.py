"""Where feedback is kept: one table, and the few things that are done with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Index, Row, String, Table, Text, select
from sqlalchemy.exc import IntegrityError

from tame_router.feedback.feedback import Feedback, Rating, State
from tame_router.store import METADATA, Database

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("feedback_id", String(64), primary_key=True),
    # Absent rather than empty where the caller gave none: absent values are not alike.
    Column("request_id", String(64), unique=True),
    Column("answer_id", String(64), nullable=False),
    Column("expert", String(64), nullable=False),
    Column("comment", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("review_time_us", BigInteger),
    # Absent where an earlier version, which did not keep it, stored the feedback.
    Column("tenant", String(64)),
    # Absent where nothing was said of the answer.
    Column("rating", String(8)),
    Index("feedback_state", "state", "create_time_us"),
)
"""Times are microseconds since 1970 in UTC, which every database keeps alike."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class FeedbackStore:
    """Keeps feedback in a database. Synchronous; threads may share it.

    Args:
        database: Where the table is, or is to be made.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(self, database: Database) -> None:
        database.create(FEEDBACK)
        self._database = database

    def add(self, feedback: Feedback) -> Feedback:
        """Keep feedback; give what was kept before under the same request id."""
        try:
            with self._database.transaction() as connection:
                connection.execute(FEEDBACK.insert().values(_write(feedback)))
        except IntegrityError:
            same = FEEDBACK.c.request_id == feedback.request_id
            with self._database.transaction() as connection:
                return _read(connection.execute(select(FEEDBACK).where(same)).one())
        return feedback

    def get(self, feedback_id: str) -> Feedback | None:
        """Look feedback up; None: there is none of that id."""
        with self._database.transaction() as connection:
            return _find(connection, feedback_id)

    def pending(self) -> list[Feedback]:
        """List what nobody has decided on, the oldest first."""
        query = select(FEEDBACK).where(FEEDBACK.c.state == State.PENDING.value)
        query = query.order_by(FEEDBACK.c.create_time_us, FEEDBACK.c.feedback_id)
        with self._database.transaction() as connection:
            return [_read(row) for row in connection.execute(query)]

    @contextmanager
    def deciding(self, feedback_id: str, state: State, at: datetime) -> Iterator[Feedback | None]:
        """Decide on pending feedback; the decision counts when the context is left without error.

        Nobody else can decide on it meanwhile. After an error, or a crash, it is pending.

        Args:
            feedback_id: Names it.
            state: What becomes of it.
            at: When, with its time zone.

        Yields:
            The feedback with the decision; None: it was not pending, or there is none.
        """
        pending = (FEEDBACK.c.feedback_id == feedback_id) & (
            FEEDBACK.c.state == State.PENDING.value
        )
        change = FEEDBACK.update().where(pending)
        with self._database.transaction() as connection:
            decided = connection.execute(
                change.values(state=state.value, review_time_us=_microseconds(at))
            )
            yield _find(connection, feedback_id) if decided.rowcount else None


def _find(connection: Connection, feedback_id: str) -> Feedback | None:
    row = connection.execute(
        select(FEEDBACK).where(FEEDBACK.c.feedback_id == feedback_id)
    ).one_or_none()
    return _read(row) if row else None


def _write(feedback: Feedback) -> dict[str, Any]:
    return {
        "feedback_id": feedback.feedback_id,
        "request_id": feedback.request_id or None,
        "tenant": feedback.tenant or None,
        "rating": feedback.rating.value or None,
        "answer_id": feedback.answer_id,
        "expert": feedback.expert,
        "comment": feedback.comment,
        "question": feedback.question,
        "state": feedback.state.value,
        "create_time_us": _microseconds(feedback.create_time),
        "review_time_us": feedback.review_time and _microseconds(feedback.review_time),
    }


def _read(row: Row[Any]) -> Feedback:
    reviewed = row.review_time_us
    return Feedback(
        feedback_id=row.feedback_id,
        request_id=row.request_id or "",
        tenant=row.tenant or "",
        rating=Rating(row.rating or ""),
        answer_id=row.answer_id,
        expert=row.expert,
        comment=row.comment,
        question=row.question,
        state=State(row.state),
        create_time=_EPOCH + row.create_time_us * _MICROSECOND,
        review_time=None if reviewed is None else _EPOCH + reviewed * _MICROSECOND,
    )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
