"""From feedback to a teaching line, or to the reason why there can be none.

Values in, values out: a person has still to approve the line, and it is written elsewhere.
"""

import unicodedata
from dataclasses import dataclass
from functools import cached_property

from tame_router.feedback.feedback import Feedback
from tame_router.routing.text import language, normalise
from tame_router.teaching.corpus import Corpus, Utterance
from tame_router.teaching.corpus_check import line_key
from tame_router.teaching.line import LONGEST_LINE_CHARS, heading
from tame_router.teaching.near_duplicates import THRESHOLD, bag_of_words, similarity


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that feedback would teach.

    Attributes:
        expert: Whose line it is.
        language: Which of the expert's files it belongs to.
        text: The line, exactly as it is to be written.
        standing: It stands there already, letter by letter: a review was cut short before
            it could note the approval, or somebody else asked the same.
    """

    expert: str
    language: str
    text: str
    standing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why feedback can teach nothing.

    Attributes:
        reason: In UPPER_SNAKE.
        message: For the person who reviews.
    """

    reason: str
    message: str


class Material:
    """The teaching lines as they are, arranged for questions about one more.

    Args:
        corpus: All lines of all experts.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def propose(self, feedback: Feedback) -> Line | Refusal:
        """Make a line of feedback, or say why not."""
        if feedback.expert not in self._corpus.experts:
            return Refusal(
                reason="EXPERT_GONE", message=f"there is no expert {feedback.expert} any more"
            )
        return _unfit(feedback.question) or self._fit(feedback)

    def _fit(self, feedback: Feedback) -> Line | Refusal:
        """Hold a line that is well formed against those there are."""
        text = _one_line(feedback.question)
        reading = normalise(text)
        tag = language(reading)  # Simplified is read as Traditional, and stands in its file
        same = self._by_key.get(line_key(reading), [])
        elsewhere = next((there for there in same if there.expert != feedback.expert), None)
        if elsewhere:
            return Refusal(
                reason="OTHER_DOMAIN",
                message=f"teaches another expert, in {_place(elsewhere)}; take it out there first",
            )
        standing = any((there.text, there.language) == (text, tag) for there in same)
        line = Line(expert=feedback.expert, language=tag, text=text, standing=standing)
        if standing:
            return line
        if same:
            return Refusal(reason="REPEATED", message=f"says the same as {_place(same[0])}")
        return self._nearly_repeated(reading) or line

    def _nearly_repeated(self, reading: str) -> Refusal | None:
        bag = bag_of_words(reading)
        best, nearest = 0.0, None
        for other, there in self._bags:
            # Sets of sizes further apart than this cannot be that similar.
            if THRESHOLD * len(other) <= len(bag) and THRESHOLD * len(bag) <= len(other):
                alike = similarity(bag, other)
                if alike > best:
                    best, nearest = alike, there
        if nearest is None or best < THRESHOLD:
            return None
        return Refusal(
            reason="NEARLY_REPEATED",
            message=f"almost the same as {_place(nearest)} ({best:.0%} of their words)",
        )

    @cached_property
    def _by_key(self) -> dict[str, list[Utterance]]:
        found: dict[str, list[Utterance]] = {}
        for utterance in self._corpus.utterances:
            found.setdefault(line_key(utterance.reading), []).append(utterance)
        return found

    @cached_property
    def _bags(self) -> list[tuple[frozenset[str], Utterance]]:
        bags = ((bag_of_words(u.reading), u) for u in self._corpus.utterances)
        return [(bag, utterance) for bag, utterance in bags if bag]


def _unfit(question: str) -> Refusal | None:
    """Say why a text cannot be a line at all."""
    lines = len(question.strip().splitlines())
    text = _one_line(question)
    hidden = next((c for c in text if unicodedata.category(c).startswith("C")), "")
    if not lines:
        return Refusal(reason="NO_QUESTION", message="the caller sent no question with it")
    if lines > 1:
        return Refusal(reason="SEVERAL_LINES", message=f"has {lines} lines; a teaching line is one")
    if len(text) > LONGEST_LINE_CHARS:
        words = f"has {len(text):,} characters; a teaching line has at most {LONGEST_LINE_CHARS:,}"
        return Refusal(reason="TOO_LONG", message=words)
    if hidden:
        words = f"holds a character that shows nothing, U+{ord(hidden):04X}"
        return Refusal(reason="HIDDEN_CHARACTER", message=words)
    if heading(text):
        return Refusal(reason="HEADING", message="would be read as a heading: it starts with '# '")
    return None


def _one_line(question: str) -> str:
    """Spell white space as single spaces."""
    return " ".join(question.split())


def _place(utterance: Utterance) -> str:
    return f"{utterance.expert}/{utterance.path.name}:{utterance.line}"
