"""The router: from a conversation to a decision. The one place of routing with a clock."""

import time
from collections.abc import Callable, Sequence

from tame_router.chat import Message, Role
from tame_router.errors import ConfigError, InvalidRequestError
from tame_router.routing.classifier import Classification, Classifier
from tame_router.routing.conversation import Turn, believe
from tame_router.routing.decision import Constraints, Decision, Feature, Stage
from tame_router.routing.selection import Selection, SelectionPolicy, allowed_experts, select
from tame_router.routing.text import head_and_tail, language

LONGEST_CONVERSATION = 4
"""Turns of the user that are read, the last one included."""

LONGEST_QUESTION_CHARS = 1_200
"""Characters of the last turn that are read: its head and its tail."""

LONGEST_EARLIER_CHARS = 300
"""Characters of an earlier turn that are read: its head and its tail."""

MOST_FEATURES = 8
"""Features that explain a decision."""

_NO_CONSTRAINTS = Constraints()


class Router:
    """Decide who answers. Keeps no state between calls; safe to use from several threads.

    Args:
        classifier: What tells the experts apart.
        policy: The operator's rules.
        clock: Gives nanoseconds that only grow.

    Raises:
        ConfigError: When the policy's fallback is no expert.
    """

    def __init__(
        self,
        classifier: Classifier,
        policy: SelectionPolicy,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        if policy.fallback not in classifier.labels:
            raise ConfigError(
                f"routing.fallback names {policy.fallback!r}, which is no expert;"
                f" there are: {', '.join(classifier.labels)}"
            )
        self._classifier = classifier
        self._policy = policy
        self._fallback = classifier.labels.index(policy.fallback)
        self._clock = clock

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts that can be selected, sorted."""
        return self._classifier.labels

    def classify(self, texts: Sequence[str]) -> Classification:
        """Classify texts, each on its own; columns follow `experts`."""
        return self._classifier.classify(texts)

    def route(
        self,
        messages: Sequence[Message],
        constraints: Constraints = _NO_CONSTRAINTS,
        *,
        explain: bool = False,
    ) -> Decision:
        """Decide who answers the last message of a conversation.

        Only the user's turns are read, the last four at most: 1,200 characters of the
        question and 300 of each turn before it, the head and the tail of what is longer.
        So the time has a bound that does not depend on the length of any text.

        Args:
            messages: The conversation; the last turn of the user is the question.
            constraints: The caller's wishes.
            explain: Also name the features that weighed most for the lead expert.

        Raises:
            InvalidRequestError: When the user says nothing, or the constraints contradict
                each other.
            ExpertNotFoundError: When a constraint names an expert that does not exist.
            NoExpertError: When the constraints leave nobody.
        """
        begun = self._clock()
        turns = [m.content for m in messages if m.role is Role.USER and m.content.strip()]
        if not turns:
            raise InvalidRequestError(
                "there is no message from the user with text in it; send one with role `user`",
                field="messages",
            )
        allowed_experts(self.experts, constraints)
        texts = [
            *(head_and_tail(t, LONGEST_EARLIER_CHARS) for t in turns[-LONGEST_CONVERSATION:-1]),
            head_and_tail(turns[-1], LONGEST_QUESTION_CHARS),
        ]
        selection, stage = self._select(texts, constraints)
        features: tuple[Feature, ...] = ()
        if explain and stage is not Stage.PINNED:
            lead = selection.experts[0].expert
            features = self._classifier.explain(texts[-1], lead, MOST_FEATURES)
        return Decision(
            experts=selection.experts,
            probabilities=selection.probabilities,
            stage=stage,
            reason=selection.reason,
            join=selection.join,
            language=language(texts[-1]),
            elapsed_us=(self._clock() - begun) // 1_000,
            features=features,
            classifier_digest=self._classifier.digest,
        )

    def _select(self, texts: Sequence[str], constraints: Constraints) -> tuple[Selection, Stage]:
        if constraints.pin:
            certain = {name: float(name == constraints.pin) for name in self.experts}
            return select(certain, self._policy, constraints), Stage.PINNED
        found = self._classifier.classify(texts)
        belief = believe(
            [
                Turn(text=text, probabilities=row)
                for text, row in zip(texts, found.probabilities, strict=True)
            ],
            fallback=self._fallback,
        )
        probabilities = dict(zip(self.experts, belief.tolist(), strict=True))
        return select(probabilities, self._policy, constraints), found.stages[-1]
