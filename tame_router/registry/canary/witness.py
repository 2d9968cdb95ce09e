"""Turns what happens to answers into outcomes of the revisions that wrote them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tame_router.answering.event import Event, ExpertFinish, Note
from tame_router.answering.roster import NO_FAILURES
from tame_router.errors import BackendError, BackendOverloadedError
from tame_router.registry.canary.outcome import FAILED, outcome_of
from tame_router.registry.canary.watch import CanaryWatch

MOST_OF_ONE: Final = 3
"""Answers of one conversation that count."""

REMEMBERED: Final = 10_000
"""Conversations that are remembered for it, the latest."""

_NO_FAULT: Final = NO_FAILURES | {BackendOverloadedError.reason}


class Witness:
    """Sees the events of all answers.

    Args:
        watch: Is told what becomes of answers of experts with a canary; None: nobody is.
    """

    __slots__ = ("_seen", "_watch")

    def __init__(self, watch: CanaryWatch | None = None) -> None:
        self._watch = watch
        self._seen: OrderedDict[int, int] = OrderedDict()

    def admits(self, session: Callable[[], str]) -> bool:
        """Tell whether one more answer of a conversation counts: the first few of each do.

        A conversation stays with one revision. Were all of its answers counted, a single caller
        who found one of each kind could decide by them.

        Args:
            session: Gives the conversation's name; asked only while there is a canary.
        """
        if self._watch is None or not self._watch.busy:
            return False
        key = hash(session())
        count = self._seen.pop(key, 0)
        self._seen[key] = count + 1
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return count < MOST_OF_ONE

    def see(self, event: Event) -> None:
        """Take an event; only the end of an expert's words counts."""
        if self._watch is None:
            return
        if isinstance(event, ExpertFinish):
            self._watch.observe(
                event.expert, event.revision, outcome_of(event, simplified=event.simplified)
            )
        elif isinstance(event, Note) and event.reason not in _NO_FAULT:
            self._watch.observe(event.expert, event.revision, FAILED)

    def failed(self, error: BaseException) -> None:
        """Take the end of an answer that failed, where its expert's backend is to blame.

        A deadline is the caller's, and still counts: a lot has given both revisions the same
        callers, and one that is too slow for them would otherwise be seen by nobody. That there
        was no room says nothing of either.
        """
        if self._watch is None or not isinstance(error, BackendError):
            return
        if isinstance(error, BackendOverloadedError):
            return
        expert, revision = error.metadata.get("expert"), error.metadata.get("revision", "")
        if expert:
            self._watch.observe(expert, revision, FAILED)
