"""What answers to two-domain questions are worth: the facts they bring, what they cost.

Values only: who was asked, and how figures look, is decided elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.pair_question import Fact, PairQuestion, normalise
from tame_router.evaluation.bootstrap import Estimate, difference, estimate, mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of asking one question one way.

    Attributes:
        way: Name of the way.
        question: Id of the question.
        experts: Who was asked, the lead first; empty: none of the two, the base model alone.
        text: The whole answer.
        prompt_tokens: Tokens read, by all who were asked.
        completion_tokens: Tokens written, by all who were asked.
        elapsed_s: From asking to the end.
        fault: Why there is no answer; empty: there is one.
    """

    way: str
    question: str
    experts: tuple[str, ...] = ()
    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    elapsed_s: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Which facts an answer brings.

    Attributes:
        lead: Of the lead expert's side, in the order of the checklist.
        other: Of the other side.
    """

    lead: tuple[bool, ...]
    other: tuple[bool, ...]

    @property
    def share(self) -> float:
        """Share of all facts of both sides, in [0, 1]."""
        marks = self.lead + self.other
        return sum(marks) / len(marks)

    @property
    def both(self) -> bool:
        """Whether it brings something from either side."""
        return any(self.lead) and any(self.other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one way is worth over its questions.

    Attributes:
        asked: Questions asked, those without an answer included; they bring no fact.
        failed: Questions without an answer.
        facts: Share of facts found, both sides, the mean of the questions.
        lead: The same of the lead expert's side.
        other: The same of the other side.
        both: Share of questions for which either side brought something.
        experts: Experts asked, the mean of the questions.
        prompt_tokens: Read, the mean of the questions.
        completion_tokens: Written, the mean of the questions.
        elapsed_s: The mean of the questions.
    """

    asked: int
    failed: int
    facts: Estimate
    lead: float
    other: float
    both: float
    experts: float
    prompt_tokens: float
    completion_tokens: float
    elapsed_s: float


def mark(question: PairQuestion, reply: Reply) -> Marks:
    """Look for each fact of a question in an answer.

    The lead side is that of the expert who led; where neither of the two did, that of the
    question's first domain.
    """
    first, second = question.domains
    if second in reply.experts[:1]:
        first, second = second, first
    text = normalise(reply.text)
    return Marks(
        lead=_found(question.facts[first], text), other=_found(question.facts[second], text)
    )


def together(way: str, first: Reply, second: Reply) -> Reply:
    """Make one answer of two, as if the second had been asked when the first had ended.

    Args:
        way: Name of what comes out.
        first: An expert's answer; its expert leads.
        second: Another expert's answer to the same question.
    """
    return Reply(
        way=way,
        question=first.question,
        experts=first.experts + second.experts,
        text=f"{first.text}\n\n{second.text}",
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        elapsed_s=first.elapsed_s + second.elapsed_s,
        fault=first.fault or second.fault,
    )


def weigh(questions: Mapping[str, PairQuestion], replies: Sequence[Reply]) -> Figures:
    """Sum up one way's replies.

    Args:
        questions: By id.
        replies: At least one, a question each.
    """
    marks = [mark(questions[reply.question], reply) for reply in replies]

    def average(value: Callable[[Reply], float]) -> float:
        return sum(map(value, replies)) / len(replies)

    shares = np.array([m.share for m in marks])
    return Figures(
        asked=len(replies),
        failed=sum(bool(reply.fault) for reply in replies),
        facts=estimate({"facts": mean(shares)}, len(replies))["facts"],
        lead=float(np.mean([np.mean(m.lead) for m in marks])),
        other=float(np.mean([np.mean(m.other) for m in marks])),
        both=float(np.mean([m.both for m in marks])),
        experts=average(lambda reply: len(reply.experts)),
        prompt_tokens=average(lambda reply: reply.prompt_tokens),
        completion_tokens=average(lambda reply: reply.completion_tokens),
        elapsed_s=average(lambda reply: reply.elapsed_s),
    )


def gain(
    questions: Mapping[str, PairQuestion], before: Sequence[Reply], after: Sequence[Reply]
) -> Estimate | None:
    """Tell how much larger a share of the facts one way finds than another.

    Only questions that both were asked count, each with itself; None: there is none.
    """
    known = {reply.question: reply for reply in before}
    pairs = [(known[reply.question], reply) for reply in after if reply.question in known]
    if not pairs:
        return None
    shares = [
        [mark(questions[r.question], r).share for r in side] for side in zip(*pairs, strict=True)
    ]
    statistic = difference(mean(np.array(shares[0])), mean(np.array(shares[1])))
    return estimate({"gain": statistic}, len(pairs))["gain"]


def _found(facts: Sequence[Fact], text: str) -> tuple[bool, ...]:
    return tuple(fact.found(text) for fact in facts)
