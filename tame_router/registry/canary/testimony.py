"""What is heard of one answer, for the sake of a canary or of a shadow."""

from collections.abc import Callable
from typing import Final

from tame_router.answering.event import (
    DecisionMade,
    Delta,
    Event,
    ExpertFinish,
    ExpertStart,
    Note,
)
from tame_router.answering.question import Question
from tame_router.answering.roster import NO_FAILURES
from tame_router.catalog.expert import Catalog, Expert
from tame_router.errors import BackendError, BackendOverloadedError
from tame_router.registry.canary.outcome import FAILED, Outcome, blames_revision, outcome_of
from tame_router.registry.canary.ratings import Rated, Rater, Ratings
from tame_router.registry.canary.shadow import Copy
from tame_router.registry.canary.watch import CanaryWatch
from tame_router.routing.decision import Decision, Join


class Testimony:
    """Of an answer that does not count: nothing is kept."""

    __slots__ = ()

    def see(self, event: Event) -> None:
        """Take an event."""

    def failed(self, error: BaseException) -> None:
        """Take the end of an answer that failed."""


_NO_FAULT: Final = NO_FAILURES | {BackendOverloadedError.reason}

SILENT: Final = Testimony()
"""Where an answer does not count."""


class Heard(Testimony):
    """Of an answer that counts.

    Args:
        watch: Is told what becomes of it.
        ratings: Remembers it.
        offer: Takes a copy of the question, where there is a shadow.
        question: What is asked.
        catalog: The experts with their canaries.
        now: The event loop's time.
    """

    __slots__ = (
        "_catalog",
        "_decision",
        "_left",
        "_now",
        "_offer",
        "_question",
        "_ratings",
        "_shadow",
        "_stood_in",
        "_texts",
        "_watch",
    )

    def __init__(
        self,
        watch: CanaryWatch,
        ratings: Ratings,
        offer: Callable[[Copy], None],
        question: Question,
        catalog: Catalog,
        now: float,
    ) -> None:
        self._watch = watch
        self._ratings = ratings
        self._offer = offer
        self._question = question
        self._catalog = catalog
        self._now = now
        self._decision: Decision | None = None  # where one expert answers alone
        self._shadow: Expert | None = None
        self._texts: list[str] = []
        self._left: set[tuple[str, str]] = set()  # of these a note has told
        self._stood_in = False  # others have been asked in the expert's place

    def see(self, event: Event) -> None:
        """Take an event; of an answer that is copied its words too."""
        if isinstance(event, Delta):
            if self._shadow is not None:
                self._texts.append(event.text)
        elif isinstance(event, DecisionMade):
            self._decided(event.decision)
        elif isinstance(event, ExpertStart):
            self._stood_in = self._stood_in or event.fallback is not None
        elif isinstance(event, ExpertFinish | Note):
            self._ended(event)

    def _ended(self, event: ExpertFinish | Note) -> None:
        """Take how an expert ended: what another does in its place counts for nothing."""
        if isinstance(event, ExpertFinish):
            if event.fallback is not None:
                self._shadow = None  # of the revision that did not answer its note has told
                return
            outcome = outcome_of(event)
            self._watch.observe(event.expert, event.revision, outcome)
            self._remember(event)
            self._copy(outcome)
        elif not self._stood_in and event.reason not in _NO_FAULT:
            self._left.add((event.expert, event.revision))
            self._watch.observe(event.expert, event.revision, FAILED)

    def failed(self, error: BaseException) -> None:
        """Take the end of an answer that failed, where its expert's backend is to blame.

        A deadline is the caller's, and still counts: a lot has given both revisions the same
        callers, and one that is too slow for them would otherwise be seen by nobody. That there
        was no room says nothing of either.

        A shadow's copy goes to one replica, and last: where it would be dropped for having failed
        like this, the pair is dropped too. Else a shaky backend would speak for a bad shadow.
        """
        if not isinstance(error, BackendError) or isinstance(error, BackendOverloadedError):
            return
        expert, revision = error.metadata.get("expert"), error.metadata.get("revision", "")
        told = (expert, revision) in self._left
        if self._stood_in and not told:
            return  # it is another's that had begun
        if expert and not told:
            self._watch.observe(expert, revision, FAILED)
        if blames_revision(error, begun=bool(self._texts)):
            self._copy(FAILED)

    def _decided(self, decision: Decision) -> None:
        if decision.join is Join.SINGLE:
            self._decision = decision
            expert = self._catalog.experts.get(decision.lead)
            self._shadow = expert.shadowed(self._question.session()) if expert else None

    def _remember(self, finish: ExpertFinish) -> None:
        expert = self._catalog.experts.get(finish.expert)
        canary = expert.canary if expert else None
        if self._decision is None or canary is None or canary.shadow:
            return
        question = self._question
        rated = Rated(
            expert=finish.expert,
            revision=finish.revision,
            canary=canary.revision.name,
            share=canary.share,
            rater=Rater(tenant=question.tenant, subject=question.subject, user=question.user),
        )
        self._ratings.remember(question.answer_id, rated)

    def _copy(self, outcome: Outcome) -> None:
        """Have the question copied, once its answer has ended."""
        if self._shadow is None or self._decision is None:
            return
        deadline = self._question.deadline
        self._offer(
            Copy(
                expert=self._shadow,
                question=self._question,
                decision=self._decision,
                outcome=outcome,
                text="".join(self._texts),
                time_s=None if deadline is None else deadline - self._now,
            )
        )
        self._shadow = None
