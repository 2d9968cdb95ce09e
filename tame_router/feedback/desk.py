"""Where a person decides on feedback: what is pending, what it would teach, yes or no."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tame_router.errors import ConfigError
from tame_router.feedback.feedback import Feedback, State
from tame_router.feedback.review import Line, Material, Refusal
from tame_router.feedback.store import FeedbackStore
from tame_router.teaching.corpus import load_corpus
from tame_router.teaching.utterance_file import append_utterance, utterance_file


class Result(enum.StrEnum):
    """What a decision came to."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    DECIDED_BEFORE = "decided_before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one decision.

    Attributes:
        feedback_id: The feedback.
        result: Whether it counts.
        message: The line and where it stands, or why nothing was done.
    """

    feedback_id: str
    result: Result
    message: str

    @property
    def done(self) -> bool:
        """Whether it was done as asked."""
        return self.result in {Result.APPROVED, Result.REJECTED}


class Desk:
    """Lets a person decide. Two may sit at it: nothing is decided twice.

    Args:
        store: The feedback.
        folders: Folder of each expert, by its name.
    """

    def __init__(self, store: FeedbackStore, folders: Mapping[str, Path]) -> None:
        self._store = store
        self._folders = folders

    def pending(self) -> list[Feedback]:
        """List what is to be decided, the oldest first.

        Raises:
            StoreUnavailableError: When the store cannot be used.
        """
        return self._store.pending()

    def material(self) -> Material:
        """Read the teaching lines as they are now.

        Raises:
            CatalogError: When a file of them cannot be read.
        """
        return Material(load_corpus(self._folders))

    def approve(self, feedback_id: str, at: datetime) -> Outcome:
        """Write the line that feedback teaches, then note the approval.

        A crash between the two leaves the feedback pending and the line written; approving
        it again finds the line and writes none.

        Args:
            feedback_id: Names it.
            at: The time, with its zone.

        Raises:
            StoreUnavailableError: When the store cannot be used.
            ConfigError: When a file of teaching lines cannot be read or written.
        """
        try:
            with self._store.deciding(feedback_id, State.APPROVED, at) as feedback:
                if feedback is None:
                    return self._not_pending(feedback_id)
                message = self._write(self._line(feedback))
        except _RefusedError as refused:
            message = f"{refused.refusal.reason}: {refused.refusal.message}"
            return Outcome(feedback_id=feedback_id, result=Result.REFUSED, message=message)
        return Outcome(feedback_id=feedback_id, result=Result.APPROVED, message=message)

    def reject(self, feedback_id: str, at: datetime) -> Outcome:
        """Note that feedback teaches nothing.

        Args:
            feedback_id: Names it.
            at: The time, with its zone.

        Raises:
            StoreUnavailableError: When the store cannot be used.
        """
        with self._store.deciding(feedback_id, State.REJECTED, at) as feedback:
            if feedback is None:
                return self._not_pending(feedback_id)
        return Outcome(
            feedback_id=feedback_id, result=Result.REJECTED, message="nothing was written"
        )

    def _line(self, feedback: Feedback) -> Line:
        """Give the line, or raise: that leaves the feedback pending."""
        line = self.material().propose(feedback)
        if isinstance(line, Refusal):
            raise _RefusedError(line)
        return line

    def _write(self, line: Line) -> str:
        path = utterance_file(self._folders[line.expert], line.language)
        if line.standing:
            return f"stands already in {path}: {line.text}"
        try:
            append_utterance(path, line.text)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        return f"added to {path}: {line.text}"

    def _not_pending(self, feedback_id: str) -> Outcome:
        found = self._store.get(feedback_id)
        if found is None:
            message = "there is no such feedback; `tame router review --list` tells which there is"
            return Outcome(feedback_id=feedback_id, result=Result.UNKNOWN, message=message)
        when = found.review_time.isoformat(timespec="seconds") if found.review_time else "just now"
        return Outcome(
            feedback_id=feedback_id,
            result=Result.DECIDED_BEFORE,
            message=f"was {found.state} {when}",
        )


class _RefusedError(Exception):
    """Leaves a decision without making it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
