"""An expert that a caller may not use is to the router as one that does not exist."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.chat import Message, Role
from tame_router.errors import NoExpertError, TameError
from tame_router.routing.calibration import ANY_LANGUAGE
from tame_router.routing.classifier import Classification, Opinion
from tame_router.routing.conformal import ConformalLevels
from tame_router.routing.decision import Constraints, Decision, Feature, Stage
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy

EXPERTS = ("electronics", "general", "hospital", "legal", "medical")
TEXTS = ("押金不退", "那罰則呢？", "Why?", "resistor of the bus", "tell me a joke about it")
ROW = st.tuples(*[st.sampled_from([0.0, 1e-9, 0.01, 0.2, 0.5, 0.97])] * len(EXPERTS)).filter(any)
NAMES = st.sampled_from([*EXPERTS, "astrology"])
SETS = st.frozensets(NAMES, max_size=3)
CONSTRAINTS = st.builds(
    Constraints, pin=st.just("") | NAMES, allow=SETS, deny=SETS, max_experts=st.integers(-1, 3)
)
VISIBLE = st.frozensets(st.sampled_from(EXPERTS))


class Told:
    """A classifier that thinks what a test says, of the labels that a test lets exist."""

    digest = "told"

    def __init__(self, rows: Sequence[tuple[float, ...]], labels: Sequence[str] = EXPERTS) -> None:
        self.labels = tuple(labels)
        self._rows = [np.array(row) / sum(row) for row in rows]

    def classify(self, texts: Sequence[str]) -> Classification:
        """Give the rows of as many texts; of fewer labels, their shares of what is left."""
        columns = [EXPERTS.index(name) for name in self.labels]
        rows = np.array([self._rows[i % len(self._rows)] for i in range(len(texts))])
        rows = rows.astype(np.float32)
        if len(columns) < len(EXPERTS):
            rows = rows[:, columns].astype(np.float64)
            rows[rows.sum(axis=1) == 0] = 1
            rows /= rows.sum(axis=1, keepdims=True)
        relevances = np.array(self._rows[-1], dtype=np.float32)[columns].tolist()
        opinions = [
            Opinion(
                probabilities=row,
                relevances=relevances,
                several=number % 2 == 0,
                stage=Stage.FAST,
                language="zh-TW",
            )
            for number, row in enumerate(rows.tolist())
        ]
        return Classification(opinions=tuple(opinions), width=len(columns), dtype=rows.dtype.type)

    def glance(self, texts: Sequence[str]) -> Classification | None:
        """Know everything at once."""
        return self.classify(texts)

    def warm(self) -> bool:
        """Load nothing."""
        return False

    def explain(self, text: str, label: str, limit: int) -> tuple[Feature, ...]:
        """Explain nothing."""
        return ()


def outcome(
    router: Router, said: list[str], constraints: Constraints, visible: frozenset[str] | None
) -> Decision | tuple[type[TameError], str, dict[str, str]]:
    """Give the decision without its duration, or what the caller reads instead."""
    messages = [Message(role=Role.USER, content=text) for text in said]
    try:
        decision = router.route(messages, constraints, visible=visible)
    except TameError as error:
        return type(error), error.message, error.metadata
    return msgspec.structs.replace(decision, elapsed_us=0)


@given(
    st.lists(ROW, min_size=1, max_size=4),
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4),
    CONSTRAINTS,
    VISIBLE,
)
def test_forbidden_and_absent_are_the_same(
    rows: list[tuple[float, ...]],
    said: list[str],
    constraints: Constraints,
    visible: frozenset[str],
) -> None:
    """Every bit of the decision, and every error, is that of a router without the expert."""
    visible |= {"general"}  # a router without its fallback does not start
    levels = ConformalLevels(levels={ANY_LANGUAGE: tuple(1 - i / 101 for i in range(101))})
    policy = SelectionPolicy()
    masked = Router(Told(rows), policy, levels)
    without = Router(Told(rows, sorted(visible)), policy, levels)
    assert outcome(masked, said, constraints, visible) == outcome(without, said, constraints, None)


@given(st.lists(ROW, min_size=1, max_size=4), CONSTRAINTS, VISIBLE)
def test_no_word_of_a_forbidden_expert(
    rows: list[tuple[float, ...]], constraints: Constraints, visible: frozenset[str]
) -> None:
    """Not in the decision, and in an error only where the caller said it."""
    found = outcome(Router(Told(rows), SelectionPolicy()), list(TEXTS[:3]), constraints, visible)
    said = constraints.allow | constraints.deny | {constraints.pin}
    for name in set(EXPERTS) - visible - said:
        assert name not in repr(found)
    if isinstance(found, Decision):
        named = {p.expert for p in (*found.experts, *found.probabilities)}
        assert named | set(found.conformal_set) <= visible


def test_who_may_use_nothing_is_told_so() -> None:
    """The same words whatever experts there are."""
    router = Router(Told([(0.2,) * 5]), SelectionPolicy())
    with pytest.raises(NoExpertError, match="no expert may be used with this key"):
        router.route([Message(role=Role.USER, content="hello")], visible=frozenset())
