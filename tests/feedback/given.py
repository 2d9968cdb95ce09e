"""Feedback and stores for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tame_router.config import StoreSettings
from tame_router.feedback.feedback import Feedback
from tame_router.feedback.store import FeedbackStore
from tame_router.store import Database

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def said(**fields: Any) -> Feedback:
    """Give feedback of which a test says what matters."""
    usual: dict[str, Any] = {
        "feedback_id": "0123456789abcdef",
        "answer_id": "answer-1",
        "expert": "baking",
        "create_time": NOON,
    }
    return Feedback(**{**usual, **fields})


@contextmanager
def kept(folder: Path, settings: StoreSettings | None = None) -> Iterator[FeedbackStore]:
    """Open the store in a folder, or the one that settings name."""
    database = Database(settings or StoreSettings(), folder)
    try:
        yield FeedbackStore(database)
    finally:
        database.close()
