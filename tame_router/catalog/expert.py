"""An expert: a domain with its prompt, its backend and its live adapter."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tame_router.catalog.revision import Revision
from tame_router.chat import FallbackStep, Guarding, Sampling
from tame_router.errors import ExpertNotFoundError, RevisionNotFoundError

LANGUAGES = ("zh-TW", "en")
"""The languages experts speak; each has a title, a description and teaching lines in both."""


DOCUMENTS = "{documents}"
"""Where an expert's own wording for given documents holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A revision on trial.

    Attributes:
        revision: The adapter.
        share: Share of the conversations that it is tried on, in (0, 1).
        shadow: It answers copies of them, and nobody is given its answers.
        proven: A shadow that was found good, and is not asked any more.
    """

    revision: Revision
    share: float
    shadow: bool = False
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expert:
    """One expert, as its folder describes it.

    Attributes:
        name: Lower-case letters, digits and hyphens.
        titles: Short name by language tag.
        descriptions: What it knows, by language tag.
        prompt: System prompt.
        backend: Name of the backend that runs it.
        live: The adapter that answers; None: the base model without adapter.
        sampling: Values for what a request leaves open.
        notices: Notice shown beside an answer, by language tag; empty: none.
        folder: Where it was read from.
        private: Only tenants that are granted it by name may use it.
        documents: How given documents are put into the prompt; holds `{documents}` once; empty:
            in the wording for all experts.
        guarding: What is done about Simplified Chinese in its answers; None: as for all experts.
        canary: The adapter that is tried on a share of the conversations; None: there is none.
        fallback: Who answers where its backend is gone, in order; None: as for all experts.
    """

    name: str
    titles: Mapping[str, str]
    descriptions: Mapping[str, str]
    prompt: str
    backend: str
    live: Revision | None
    sampling: Sampling
    notices: Mapping[str, str]
    folder: Path
    private: bool = False
    documents: str = ""
    guarding: Guarding | None = None
    canary: Canary | None = None
    fallback: tuple[FallbackStep, ...] | None = None

    @property
    def live_revision(self) -> str:
        """Name of the adapter that answers; empty: the base model without adapter."""
        return self.live.name if self.live else ""

    @property
    def revisions(self) -> tuple[str, ...]:
        """Names of the adapters that answer callers, the live one first."""
        tried = self.canary
        canary = (tried.revision.name,) if tried and not tried.shadow else ()
        return (self.live_revision, *canary) if self.live else canary

    @property
    def adapters(self) -> frozenset[str]:
        """Names of the adapters that its replicas must have: a shadow too."""
        canary = {self.canary.revision.name} if self.canary else set()
        return frozenset({*self.revisions, *canary})

    def digest_of(self, revision: str) -> str:
        """Give the whole digest of an adapter that answers callers; empty: it is none of them."""
        for known in (self.live, self.canary and self.canary.revision):
            if known and known.name == revision:
                return known.digest
        return ""

    def drawn(self, session: str, revision: str = "") -> "Expert":
        """Settle which adapter writes an answer: the same one all through a session.

        Args:
            session: Names the session.
            revision: The adapter that the caller insists on; empty: none.
        """
        canary = self.canary
        if canary is None:
            return self
        if canary.shadow:
            return replace(self, canary=None)
        chosen = canary.revision.name == revision
        if not chosen and revision != self.live_revision:
            chosen = _point(self.name, session) < canary.share
        return replace(self, live=canary.revision if chosen else self.live, canary=None)

    def shadowed(self, session: str) -> "Expert | None":
        """Give the expert that answers a copy of a question; None: it is not copied.

        Args:
            session: Names the question's session; all of a session is copied, or nothing.
        """
        shadow = self.canary
        if shadow is None or not shadow.shadow or shadow.proven:
            return None
        if _point(self.name, session) >= shadow.share:
            return None
        return replace(self, live=shadow.revision, canary=None)

    def require(self, revision: str) -> None:
        """Make sure that a revision is the one that answers.

        Raises:
            RevisionNotFoundError: When it is not.
        """
        if revision != self.live_revision:
            raise RevisionNotFoundError(
                f"expert {self.name!r} has no revision {revision[:80]!r} that answers now;"
                " GetExpert and /v1/models tell the live one",
                metadata={"expert": self.name, "revision": revision[:80]},
            )

    def notice(self, language: str) -> str:
        """Give the notice in a language, in any language otherwise; empty: none is needed."""
        return self.notices.get(language) or next(iter(self.notices.values()), "")


@dataclass(frozen=True, slots=True)
class Catalog:
    """An immutable snapshot of the experts, in order of their names."""

    experts: Mapping[str, Expert]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all experts, sorted."""
        return tuple(self.experts)

    def drawn(self, session: Callable[[], str], revision: str = "") -> "Catalog":
        """Settle which adapters write an answer, where experts have canaries.

        Args:
            session: Gives the name of its session; asked only where there is a canary.
            revision: The adapter that the caller insists on; empty: none.
        """
        if all(expert.canary is None for expert in self.experts.values()):
            return self
        named = session()
        drawn = {name: expert.drawn(named, revision) for name, expert in self.experts.items()}
        return Catalog(drawn)

    def expert(self, name: str) -> Expert:
        """Look an expert up.

        Raises:
            ExpertNotFoundError: When there is none of that name.
        """
        try:
            return self.experts[name]
        except KeyError:
            raise ExpertNotFoundError(
                f"there is no expert {name[:64]!r}; ListExperts tells which there are",
                metadata={"expert": name[:64]},
            ) from None


def _point(expert: str, session: str) -> float:
    """Give a number in [0, 1) that is as good as drawn by lot, and always the same."""
    drawn = hashlib.sha256(f"{expert}\0{session}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(drawn[:7]) / 2**56
