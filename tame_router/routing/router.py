"""The router: from a conversation to a decision. The one place of routing with a clock."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np

from tame_router.chat import Message, Role
from tame_router.errors import ConfigError, InvalidRequestError
from tame_router.routing.calibration import ANY_LANGUAGE
from tame_router.routing.classifier import Classification, Classifier, Opinion
from tame_router.routing.conformal import ConformalLevels
from tame_router.routing.conversation import Turn, believe
from tame_router.routing.decision import Constraints, Decision, Feature, Stage
from tame_router.routing.joining import EVERYTHING, JoinRules
from tame_router.routing.selection import Evidence, SelectionPolicy, allowed_experts, select
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

_USER = Role.USER
_MOST_EARLIER = LONGEST_CONVERSATION - 1

_MOST_VIEWS = 256
"""Sets of experts whose columns are remembered: tenants share a few."""


class _Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be decided: the texts that are read, and since when."""

    texts: tuple[str, ...]
    constraints: Constraints
    begun_ns: int
    visible: frozenset[str]
    rules: JoinRules


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What a caller sees of the classifier's columns; `fallback` is one of its own, or None."""

    columns: tuple[int, ...]
    names: tuple[str, ...]
    fallback: int | None


class Router:
    """Decide who answers. Keeps no state between calls; safe to use from several threads.

    Args:
        classifier: What tells the experts apart.
        policy: The operator's rules.
        levels: What conformal sets are made with; None: there are none.
        worker: Where `decide` waits for what takes milliseconds; None: the event loop's own.
        clock: Gives nanoseconds that only grow.

    Raises:
        ConfigError: When the policy's fallback is no expert.
    """

    def __init__(
        self,
        classifier: Classifier,
        policy: SelectionPolicy,
        levels: ConformalLevels | None = None,
        worker: Executor | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        if policy.fallback not in classifier.labels:
            raise ConfigError(
                f"routing.fallback names {policy.fallback!r}, which is no expert;"
                f" there are: {', '.join(classifier.labels)}"
            )
        self._classifier = classifier
        self._policy = policy
        self._everyone = frozenset(classifier.labels)
        self._view = lru_cache(_MOST_VIEWS)(self._make_view)
        self._least = {ANY_LANGUAGE: 1.0}
        if levels is not None:
            self._least = {
                spoken: levels.least_probability(spoken, policy.coverage)
                for spoken in levels.levels
            }
        self._worker = worker
        self._clock = clock

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts that can be selected, sorted."""
        return self._classifier.labels

    @property
    def policy(self) -> SelectionPolicy:
        """The operator's rules."""
        return self._policy

    def warm(self) -> bool:
        """Load what the first question that needs it would load; False: there is nothing."""
        return self._classifier.warm()

    def classify(self, texts: Sequence[str]) -> Classification:
        """Classify texts, each on its own; columns follow `experts`."""
        return self._classifier.classify(texts)

    def route(
        self,
        messages: Sequence[Message],
        constraints: Constraints = _NO_CONSTRAINTS,
        *,
        visible: frozenset[str] | None = None,
        explain: bool = False,
        rules: JoinRules = EVERYTHING,
    ) -> Decision:
        """Decide who answers the last message of a conversation.

        Only the user's turns are read, the last four at most: 1,200 characters of the
        question and 300 of each turn before it, the head and the tail of what is longer.
        So the time has a bound that does not depend on the length of any text.

        Args:
            messages: The conversation; the last turn of the user is the question.
            constraints: The caller's wishes.
            visible: Experts the caller may use; all others are left out before probabilities
                are read, as if they did not exist. None: all.
            explain: Also name the features that weighed most for the lead expert.
            rules: What holds for the joins of this question.

        Raises:
            InvalidRequestError: When the user says nothing, or the constraints contradict
                each other.
            ExpertNotFoundError: When a constraint names an expert that does not exist.
            NoExpertError: When the constraints leave nobody.
        """
        asked = self._read(messages, constraints, visible, rules)
        found = None if constraints.pin else self._classifier.classify(asked.texts)
        return self._decide(asked, found, explain=explain)

    async def decide(
        self,
        messages: Sequence[Message],
        constraints: Constraints = _NO_CONSTRAINTS,
        *,
        visible: frozenset[str] | None = None,
        explain: bool = False,
        rules: JoinRules = EVERYTHING,
    ) -> Decision:
        """Decide as `route` does, and never hold up the event loop for the encoder.

        Args:
            messages: As for `route`.
            constraints: As for `route`.
            visible: As for `route`.
            explain: As for `route`.
            rules: As for `route`.

        Raises:
            InvalidRequestError: As `route` does.
            ExpertNotFoundError: As `route` does.
            NoExpertError: As `route` does.
        """
        asked = self._read(messages, constraints, visible, rules)
        found = None if constraints.pin else self._classifier.glance(asked.texts)
        if constraints.pin or (found and not explain):
            return self._decide(asked, found, explain=False)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._worker,
            lambda: self._decide(asked, self._classifier.classify(asked.texts), explain=explain),
        )

    def _read(
        self,
        messages: Sequence[Message],
        constraints: Constraints,
        visible: frozenset[str] | None,
        rules: JoinRules,
    ) -> _Asked:
        begun = self._clock()
        turns = [m.content for m in messages if m.role is _USER and m.content.strip()]
        if not turns:
            raise InvalidRequestError(
                "there is no message from the user with text in it; send one with role `user`",
                field="messages",
            )
        seen = self._everyone if visible is None else self._everyone & visible
        allowed_experts(seen, constraints)
        question = head_and_tail(turns.pop(), LONGEST_QUESTION_CHARS)
        earlier = [head_and_tail(turn, LONGEST_EARLIER_CHARS) for turn in turns[-_MOST_EARLIER:]]
        texts = (*earlier, question)
        return _Asked(
            texts=texts, constraints=constraints, begun_ns=begun, visible=seen, rules=rules
        )

    def _decide(self, asked: _Asked, found: Classification | None, *, explain: bool) -> Decision:
        """Decide by what was found; None: the expert is pinned."""
        question = asked.texts[-1]
        evidence = self._weigh(asked, found) if found else _certain(asked)
        selection = select(evidence, self._policy, asked.constraints, asked.rules)
        features: tuple[Feature, ...] = ()
        if explain and found:
            lead = selection.experts[0].expert
            features = self._classifier.explain(question, lead, MOST_FEATURES)
        return Decision(
            experts=selection.experts,
            probabilities=selection.probabilities,
            stage=found.opinions[-1].stage if found else Stage.PINNED,
            reason=selection.reason,
            join=selection.join,
            language=language(question),
            elapsed_us=(self._clock() - asked.begun_ns) // 1_000,
            features=features,
            classifier_digest=self._classifier.digest,
            conformal_set=selection.conformal_set if found else (),
            join_reason=selection.join_reason,
        )

    def _weigh(self, asked: _Asked, found: Classification) -> Evidence:
        view = self._view(asked.visible)
        turns = [_of_visible(opinion, view.columns) for opinion in found.opinions]
        (probabilities, relevances), several = turns[-1], found.opinions[-1].several
        if len(turns) > 1:
            belief = believe(_conversation(asked.texts, found, turns), fallback=view.fallback)
            probabilities, relevances = belief.probabilities.tolist(), belief.relevances.tolist()
            several = belief.several
        # From this on an expert belongs to the conformal set.
        least = self._least.get(found.opinions[-1].language, self._least[ANY_LANGUAGE])
        return Evidence(
            probabilities=dict(zip(view.names, probabilities, strict=True)),
            relevances=dict(zip(view.names, relevances, strict=True)),
            several=several,
            least_probability=least,
        )

    def _make_view(self, visible: frozenset[str]) -> _View:
        columns = tuple(i for i, name in enumerate(self.experts) if name in visible)
        names = tuple(self.experts[i] for i in columns)
        fallback = self._policy.fallback
        return _View(
            columns=columns,
            names=names,
            fallback=names.index(fallback) if fallback in names else None,
        )


def _of_visible(opinion: Opinion, columns: Sequence[int]) -> tuple[list[float], list[float]]:
    """Leave out what the caller may not use, before anything is made of what is left.

    Returns:
        Probabilities, which sum to 1 but for their rounding, and relevances.
    """
    probabilities, relevances = opinion.probabilities, opinion.relevances
    if len(columns) == len(probabilities):
        return probabilities, relevances
    left = [probabilities[i] for i in columns]
    total = sum(left)
    # Where all of it was on others, nothing is known of the rest.
    shares = [p / total for p in left] if total else [1 / len(left)] * len(left)
    return shares, [relevances[i] for i in columns]


def _conversation(
    texts: Sequence[str], found: Classification, turns: Sequence[tuple[list[float], list[float]]]
) -> list[Turn]:
    """Make a conversation of turns; shares of what is left were never rounded."""
    dtype = found.dtype if len(turns[0][0]) == found.width else np.float64
    return [
        Turn(
            text=text,
            probabilities=np.array(probabilities, dtype=dtype),
            relevances=np.array(relevances, dtype=np.float32),
            several=opinion.several,
        )
        for text, opinion, (probabilities, relevances) in zip(
            texts, found.opinions, turns, strict=True
        )
    ]


def _certain(asked: _Asked) -> Evidence:
    pin = asked.constraints.pin
    return Evidence(probabilities={name: float(name == pin) for name in asked.visible})
