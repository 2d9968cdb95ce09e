"""Who answers in place of an expert whose backend is gone: by policy, rights and wishes. Pure.

Who answers for an expert has nobody to answer for it, so nothing goes round in circles: each of
the steps is taken once, in order, and none that leads to a backend that has just been found gone.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tame_router.answering.question import Question, may_use
from tame_router.catalog.expert import Catalog, Expert
from tame_router.catalog.fallback_steps import step_faults
from tame_router.chat import FallbackKind, FallbackStep
from tame_router.config_backends import FallbackSettings, read_steps
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendError,
    BackendOverloadedError,
    BackendSilentError,
    BackendUnavailableError,
    ConfigError,
    DeadlineExceededError,
    InvalidRequestError,
    NoExpertAnsweredError,
    StreamBrokenError,
    TameError,
)

EVERY_TENANT: Final = "*"
_GONE_REASONS: Final = frozenset(
    {BackendUnavailableError.reason, StreamBrokenError.reason, AdapterNotLoadedError.reason}
)
_READY: Final = "ready"  # what a pool's error says of a replica that is not out of service


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """One who may answer in an expert's place.

    Attributes:
        kind: What it is.
        expert: Who is asked, as it is asked: its backend, and its adapter or none.
        external: Its backend is a provider's.
    """

    kind: FallbackKind
    expert: Expert
    external: bool = False

    @property
    def label(self) -> str:
        """Name it for a person."""
        if self.kind is FallbackKind.BASE_MODEL:
            return "base model"
        name = self.expert.name if self.kind is FallbackKind.EXPERT else self.expert.backend
        return f"{self.kind.value} {name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackPolicy:
    """The operator's rules.

    Attributes:
        settings: What the operator has written.
        external: Names of the backends that are providers', by way of LiteLLM.
        steps: Who answers in the place of experts that do not say so themselves.
    """

    settings: FallbackSettings = field(default_factory=FallbackSettings)
    external: frozenset[str] = frozenset()
    steps: tuple[FallbackStep, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read the steps once."""
        object.__setattr__(self, "steps", read_steps(self.settings.steps))

    def opens(self, error: TameError) -> bool:
        """Tell whether an error that came before any word says that the expert's backend is gone.

        A request that is at fault, or whose time is up, would fare no better elsewhere. That there
        is more work than capacity is told to callers, unless the operator wants it otherwise.
        """
        if isinstance(error, BackendOverloadedError):
            return self.settings.on_overload
        if isinstance(error, BackendSilentError) and error.impatient:
            return False
        if isinstance(error, NoExpertAnsweredError):  # of several, each for a reason of its own
            told = (why for name, why in error.metadata.items() if name.startswith("expert."))
            return all(why in _GONE_REASONS for why in told)
        return isinstance(error, BackendUnavailableError)

    def recourse(self, lead: Expert, question: Question, catalog: Catalog) -> "Recourse":
        """Tell who may answer in an expert's place, in order.

        Nobody where the caller does not want it, or insists on a revision; no other expert where
        it insists on this one, or may not use that; no backend that its tenant's questions may
        not go to.

        Args:
            lead: Whose place it is.
            question: What is asked, and for whom.
            catalog: The experts there are.
        """
        wishes = question.constraints
        if wishes.no_fallback or wishes.revision or question.aside:
            return Recourse(())
        steps = self.steps if lead.fallback is None else lead.fallback
        found = (self._stand_in(step, lead, question, catalog) for step in steps)
        return Recourse(
            [one for one in found if one is not None and self._may_go(one, lead, question.tenant)]
        )

    def _stand_in(
        self, step: FallbackStep, lead: Expert, question: Question, catalog: Catalog
    ) -> StandIn | None:
        """Give who a step leads to; None: nobody that could do what the expert cannot."""
        backend = step.name if step.kind is FallbackKind.BACKEND else lead.backend
        expert: Expert | None = replace(lead, live=None, canary=None, backend=backend)
        if step.kind is FallbackKind.EXPERT:
            expert = catalog.experts.get(step.name)
            if question.constraints.pin or not may_use(question, step.name):
                return None
        if expert is None or _same(expert, lead):
            return None
        return StandIn(kind=step.kind, expert=expert, external=expert.backend in self.external)

    def _may_go(self, stand_in: StandIn, lead: Expert, tenant: str) -> bool:
        """Tell whether a tenant's question may go where it would not have gone by itself."""
        backend = stand_in.expert.backend
        if backend == lead.backend:
            return True
        named = self.settings.tenants.get(backend)
        if named is None:
            return not stand_in.external
        return tenant in named or EVERY_TENANT in named


class Recourse:
    """Who is left to be asked for one answer.

    Args:
        stand_ins: Who may be, in order.
    """

    __slots__ = ("_gone", "_left")

    def __init__(self, stand_ins: Sequence[StandIn]) -> None:
        self._left = deque(stand_ins)
        self._gone: set[str] = set()

    def after(self, expert: Expert, error: TameError) -> StandIn | None:
        """Give who is asked next, once, after one has failed before a word; None: nobody is left.

        Args:
            expert: Who failed.
            error: How.
        """
        if _gone(error):
            self._gone.add(expert.backend)
        while self._left:
            stand_in = self._left.popleft()
            if stand_in.expert.backend not in self._gone:
                return stand_in
        return None


def passes(error: TameError) -> bool:
    """Tell whether the next one is asked after one that stood in failed before a word.

    What it cannot do, the next one may: another base model has another context and other tools.
    """
    if isinstance(error, DeadlineExceededError):
        return False
    return isinstance(error, BackendError | InvalidRequestError)


def require_fallback(
    settings: FallbackSettings, catalog: Catalog, backends: Collection[str]
) -> None:
    """Make sure that all who may answer in others' places are there.

    Args:
        settings: The operator's rules.
        catalog: The experts.
        backends: Names of the backends.

    Raises:
        ConfigError: When one is not, stands twice, or is the expert itself.
    """
    faults = list(_faults(read_steps(settings.steps), "", catalog, backends))
    for backend in sorted(set(settings.tenants).difference(backends)):
        known = ", ".join(sorted(backends))
        faults.append(
            f"fallback.tenants names {backend[:64]!r}, which is no backend; there are: {known}"
        )
    for expert in catalog.experts.values():
        faults += _faults(expert.fallback or (), expert.name, catalog, backends)
    if faults:
        raise ConfigError("\n".join(faults))


def _faults(
    steps: Sequence[FallbackStep], expert: str, catalog: Catalog, backends: Collection[str]
) -> Iterator[str]:
    place = f"expert {expert!r}: fallback" if expert else "fallback.steps"
    for index, message in step_faults(steps, expert, backends):
        yield f"{place}.{index}: {message}"
    for index, step in enumerate(steps):
        if step.kind is FallbackKind.EXPERT and step.name not in catalog.experts:
            yield (
                f"{place}.{index}: it names {step.name[:64]!r}, which is no expert;"
                f" there are: {', '.join(catalog.names)}"
            )


def _same(expert: Expert, lead: Expert) -> bool:
    """Tell whether asking one is asking the other again."""
    asked = (expert.name, expert.backend, expert.live_revision)
    return asked == (lead.name, lead.backend, lead.live_revision)


def _gone(error: TameError) -> bool:
    """Tell whether nothing else can be had of a backend either, as far as its error says."""
    if isinstance(error, AdapterNotLoadedError | InvalidRequestError):
        return False
    # Of several replicas, or experts, some may lack the adapter alone, whatever the last one said.
    return not {_READY, AdapterNotLoadedError.reason}.intersection(error.metadata.values())
