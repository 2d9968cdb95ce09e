"""Collisions: which questions a new domain would take, and which it would make ambiguous.

Two routers decide about the same questions, one of them with the domain. What the domain
does not touch is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tame_router.chat import Message, Role
from tame_router.routing.decision import Decision
from tame_router.routing.router import Router
from tame_router.teaching.corpus import Corpus, Utterance
from tame_router.teaching.near_duplicates import THRESHOLD, bag_of_words, similarity


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """A question that the new domain touches.

    Attributes:
        text: The question.
        lead: Who answered it before.
        before: Probability of that expert before.
        after: Its probability with the new domain.
        new: Probability of the new domain.
        captured: Whether the new domain answers it; otherwise it is plausible beside who does.
    """

    text: str
    lead: str
    before: float
    after: float
    new: float
    captured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A line of the new domain that almost stands in another.

    Attributes:
        line: The new one.
        other: The old one.
        similarity: Shared tokens over all tokens, in [0, 1].
    """

    line: Utterance
    other: Utterance
    similarity: float


def find_collisions(
    before: Router, after: Router, label: str, texts: Sequence[str]
) -> list[Collision]:
    """List the questions that a new domain touches, those it takes most surely first.

    Args:
        before: The router without the domain.
        after: The same router with it.
        label: The domain.
        texts: Questions, none blank.
    """
    found = []
    for text in texts:
        later = _decide(after, text)
        captured = later.lead == label
        beside = any(chosen.expert == label for chosen in later.experts)
        if captured or beside or label in later.conformal_set:
            found.append(_collision(text, _decide(before, text), later, label, captured=captured))
    return sorted(found, key=lambda c: (not c.captured, -c.new))


def find_duplicates(corpus: Corpus, label: str) -> list[Duplicate]:
    """List lines of a domain with their most similar line of another, where it is near.

    Args:
        corpus: All teaching lines.
        label: The domain.
    """
    others = [(bag_of_words(u.reading), u) for u in corpus.utterances if u.expert != label]
    duplicates = []
    for line in (u for u in corpus.utterances if u.expert == label):
        bag = bag_of_words(line.reading)
        near = [(similarity(bag, other), u) for other, u in others if bag or other]
        share, other = max(near, key=lambda pair: pair[0], default=(0.0, line))
        if share >= THRESHOLD:
            duplicates.append(Duplicate(line=line, other=other, similarity=share))
    return duplicates


def _decide(router: Router, text: str) -> Decision:
    return router.route([Message(role=Role.USER, content=text)])


def _collision(
    text: str, earlier: Decision, later: Decision, label: str, *, captured: bool
) -> Collision:
    then = {p.expert: p.probability for p in earlier.probabilities}
    now = {p.expert: p.probability for p in later.probabilities}
    return Collision(
        text=text,
        lead=earlier.lead,
        before=then[earlier.lead],
        after=now[earlier.lead],
        new=now[label],
        captured=captured,
    )
