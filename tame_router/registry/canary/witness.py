"""Turns what happens to answers into outcomes of the revisions that wrote them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog
from tame_router.registry.canary.ratings import Ratings
from tame_router.registry.canary.shadow import Copy
from tame_router.registry.canary.testimony import SILENT, Heard, Testimony
from tame_router.registry.canary.watch import CanaryWatch

MOST_OF_ONE: Final = 3
"""Answers of one conversation that count, or are copied."""

REMEMBERED: Final = 10_000
"""Conversations that are remembered for it, the latest."""


class Witness:
    """Hears of all answers, and of bad ratings.

    Args:
        watch: Is told what becomes of answers of experts with a canary; None: nobody is.
        offer: Takes copies of questions for shadows; it must not wait.
        ratings_per_key: As `Ratings` takes it.
    """

    __slots__ = ("_ended", "_offer", "_ratings", "_seen", "_watch")

    def __init__(
        self,
        watch: CanaryWatch | None = None,
        offer: Callable[[Copy], None] = lambda _: None,
        *,
        ratings_per_key: int = 1,
    ) -> None:
        self._watch = watch
        self._offer = offer
        self._ended = False
        self._ratings = Ratings(ratings_per_key)
        self._seen: OrderedDict[int, int] = OrderedDict()

    def hear(self, question: Question, catalog: Catalog, now: float) -> Testimony:
        """Hear of one answer, where it counts: the first few of each conversation do.

        A conversation stays with one revision. Were all of its answers counted, a single caller
        who found one of each kind could decide by them.

        Args:
            question: What is asked; its session is named only while there is a canary.
            catalog: The experts with their canaries.
            now: The event loop's time.
        """
        watch = self._watch
        if watch is None or not watch.busy or not self._admits(question.session()):
            return SILENT
        return Heard(watch, self._ratings, self._copy, question, catalog, now)

    def dislike(self, answer_id: str, tenant: str, expert: str) -> None:
        """Take a bad rating, where it is of an answer that counted.

        Args:
            answer_id: The answer.
            tenant: Who rates it.
            expert: Who should have answered.
        """
        rated = self._ratings.take(answer_id, tenant, expert)
        if rated is not None and self._watch is not None:
            self._watch.dislike(rated.expert, rated.revision, rated.canary, rated.share)

    def end(self) -> None:
        """Have no more copied: the router stops."""
        self._ended = True

    def _copy(self, copy: Copy) -> None:
        if not self._ended:
            self._offer(copy)

    def _admits(self, session: str) -> bool:
        key = hash(session)
        count = self._seen.pop(key, 0)
        self._seen[key] = count + 1
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return count < MOST_OF_ONE
