"""A domain that an upload brings: which of its files make the expert, and what it would change.

Values and pure rules; the router is extended elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tame_router.catalog.expert import Catalog
from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.record import RevisionRecord
from tame_router.registry.validation.file_rules import (
    CARD,
    EVALUATION,
    EXPERT,
    JOINT,
    MOST_BYTES,
    PROMPT,
    UTTERANCES,
)
from tame_router.routing.artefact import Artefact
from tame_router.routing.router import Router

FILES: Final = {
    path: MOST_BYTES[path] for path in (EXPERT, PROMPT, *UTTERANCES, *JOINT, EVALUATION, CARD)
}
"""What an expert's folder takes of an upload, and how long each file may be."""

LEAST_RECALL: Final = 0.5
"""Share of its own lines, held out, below which a domain is noted as hard to tell from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a new domain would change in the router.

    Attributes:
        lines: Teaching lines that it was learnt from.
        recall: Share of them that it leads where it did not learn them, in [0, 1].
        asked: Teaching lines of the other experts, by expert.
        taken: Those of them that the new domain would answer.
        ambiguous: Those that it would stand beside.
        alike: Lines of its own that almost stand in another domain, by that expert.
    """

    lines: int
    recall: float
    asked: Mapping[str, int]
    taken: Mapping[str, int]
    ambiguous: Mapping[str, int]
    alike: Mapping[str, int]

    def share(self, expert: str) -> float:
        """Give how far it collides with an expert, in [0, 1].

        That is the share of the expert's teaching lines that it would take, or of its own that
        almost stand there, whichever is more. An extension is kept from taking much; the next
        training, which learns from all lines alike, is not.
        """
        asked = self.asked.get(expert, 0)
        taken = self.taken.get(expert, 0) / asked if asked else 0.0
        return max(taken, self.alike.get(expert, 0) / self.lines if self.lines else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """A router with one more domain.

    Attributes:
        artefact: The router, as it is kept.
        outlook: What changes; None: nobody asked, or it had learnt these very lines before.
    """

    artefact: Artefact
    outlook: Outlook | None


class Extender(Protocol):
    """Extends the router of this service."""

    async def extend(self, folder: Path, others: Catalog, *, outlook: bool) -> Extended:
        """Extend the trained router by the domain in a folder, in memory.

        Args:
            folder: Holds teaching lines; its name is the domain's.
            others: The experts that the router knows.
            outlook: Also tell what changes, which takes most of the time.

        Raises:
            CatalogError: When the lines cannot be used.
            ArtefactError: When the trained router is not of these experts' lines.
        """
        ...

    async def keep(self, artefact: Artefact) -> Router:
        """Put an extended router in the place of the trained one, and make it ready to decide.

        Raises:
            ArtefactError: When it cannot be written.
        """
        ...


def founds(record: RevisionRecord) -> bool:
    """Tell whether a revision makes its expert: it describes it, and was not one among others.

    Where the expert was there already, the upload was told that its description has no effect.
    """
    told = any(f.reason is Reason.FILE_UNEXPECTED and f.path == EXPERT for f in record.findings)
    return not told and any(file.path == EXPERT for file in record.manifest.files)


def judge_domain(outlook: Outlook, most: float) -> list[Finding]:
    """Say where a domain collides with others.

    Args:
        outlook: What it would change.
        most: How far it may collide with any of the others, as `Outlook.share`, in [0, 1].
    """
    findings = []
    for expert in outlook.asked:
        taken, beside = outlook.taken.get(expert, 0), outlook.ambiguous.get(expert, 0)
        alike = outlook.alike.get(expert, 0)
        if taken or beside or alike:
            message = (
                f"of {outlook.asked[expert]} teaching lines of {expert!r} it takes {taken} and"
                f" makes {beside} ambiguous; {alike} of its own {outlook.lines} lines almost stand"
                f" there ({outlook.share(expert):.0%}, at most {most:.0%})"
            )
            fatal = outlook.share(expert) > most
            findings.append(found(Reason.DOMAIN_COLLISION, message, fatal=fatal))
    if outlook.recall < LEAST_RECALL:
        message = (
            f"it leads {outlook.recall:.0%} of its own {outlook.lines} teaching lines where they"
            " are held out: the others are likely to answer the rest"
        )
        findings.append(found(Reason.DOMAIN_COLLISION, message, fatal=False))
    return findings
