"""Turns what happens to answers into outcomes of the revisions that wrote them."""

from tame_router.answering.event import Event, ExpertFinish, Note
from tame_router.answering.roster import NO_FAILURES
from tame_router.errors import BackendError, DeadlineExceededError
from tame_router.registry.canary.outcome import FAILED, outcome_of
from tame_router.registry.canary.watch import CanaryWatch

_NOT_ITS_OWN = NO_FAILURES | {DeadlineExceededError.reason}


class Witness:
    """Sees the events of all answers.

    Args:
        watch: Is told what becomes of answers of experts with a canary; None: nobody is.
    """

    __slots__ = ("_watch",)

    def __init__(self, watch: CanaryWatch | None = None) -> None:
        self._watch = watch

    def see(self, event: Event) -> None:
        """Take an event; only the end of an expert's words counts."""
        if self._watch is None:
            return
        if isinstance(event, ExpertFinish):
            self._watch.observe(
                event.expert, event.revision, outcome_of(event, simplified=event.simplified)
            )
        elif isinstance(event, Note) and event.reason not in _NOT_ITS_OWN:
            self._watch.observe(event.expert, event.revision, FAILED)

    def failed(self, error: BaseException) -> None:
        """Take the end of an answer that failed, where its expert's backend is to blame.

        A deadline is the caller's: one that is too short says nothing of the revision.
        """
        if self._watch is None or not isinstance(error, BackendError):
            return
        if isinstance(error, DeadlineExceededError):
            return
        expert, revision = error.metadata.get("expert"), error.metadata.get("revision", "")
        if expert:
            self._watch.observe(expert, revision, FAILED)
