"""The plan of an answer of several experts: who does what, with which tokens, in which time.

Pure: what is left of the deadline comes in as a length of time.

Tokens: where the caller names `max_tokens`, all steps together write no more than that. They
share it by the weights of `_WEIGHTS`; what a division leaves goes to the step that is read
first. Where it names none, each step writes what its expert writes by itself.

Time: steps that run side by side have the same time; what is written from their words gets
the rest. A part of the deadline is kept back, so that the answer is over before it passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tame_router.answering.event import Part, PlannedStep
from tame_router.answering.question import Question
from tame_router.catalog.expert import Expert
from tame_router.chat import Message, Shape
from tame_router.config import JoinSettings
from tame_router.errors import InvalidRequestError
from tame_router.routing.decision import Join, Order

_WEIGHTS = {
    Join.PANEL: (1, 0),
    Join.SECOND_OPINION: (2, 1),
    Join.FUSE: (1, 1),
    Join.VOTE: (1, 0),
    Join.BEST_OF: (1, 0),
}
"""Weight of each expert's share of the tokens, and of that of what is written from them all:
a fusion's for each draft."""

_WRITTEN = {Join.SECOND_OPINION: Part.OPINION}
"""What the words of who writes are to the answer, where they are not all of it."""

_ALL_S = 0.95
"""Share of the deadline in which everything is said."""
_DRAFT_S = {Join.SECOND_OPINION: 0.6, Join.FUSE: 0.5, Join.VOTE: 0.95, Join.BEST_OF: 0.8}
"""Share of the deadline that drafts have, by join."""
_LEAD_S = 0.9
"""Share of the deadline that words have which stream while others wait."""
_FIRST_S = 0.4
"""Share of the deadline in which an expert must have begun, so that others still can."""

JUDGE_TOKENS = 16
"""Longest verdict: one number in JSON. It is no part of the caller's `max_tokens`."""
JUDGE_CHARS = 16 * JUDGE_TOKENS
"""Characters of a verdict that are read: a server that writes on all the same is stopped."""

VOTE_LOGPROBS = 10
"""Tokens listed in the place of a vote's choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One expert's part of the work.

    Attributes:
        expert: Who is asked.
        planned: What it is for, and what it may use.
        probability: That it is the right one, in [0, 1]; 0 for who writes from others' words.
        first_token_timeout_s: Longest wait for its first token.
        begin_within_s: Part of the deadline in which that token must come; None: all of it.
        shape: What its words may consist of.
        messages: What it reads; None: the question.
        draft_timeout_s: Its time, where that is the operator's limit and not the caller's.
    """

    expert: Expert
    planned: PlannedStep
    probability: float = 0.0
    first_token_timeout_s: float
    begin_within_s: float | None = None
    shape: Shape
    messages: tuple[Message, ...] | None = None
    draft_timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done for one answer.

    Attributes:
        join: How answers are joined; never SINGLE.
        steps: The experts, the lead first; at least two.
        writer: Who writes from their words, with the base model; used by some joins.
        order: How a panel's parts follow each other.
        drafts: Drafts are sent too.
        quorum: Drafts that a fusion waits for, in [1, len(steps)].
        most_chars: Characters of one draft that are kept.
        judged: The writer judges the drafts.
    """

    join: Join
    steps: tuple[Step, ...]
    writer: Step
    order: Order
    drafts: bool
    quorum: int
    most_chars: int
    judged: bool = False

    @property
    def planned(self) -> tuple[PlannedStep, ...]:
        """What each was given, who writes or judges the last, where somebody does."""
        experts = tuple(step.planned for step in self.steps)
        last = self.judged or self.join in {Join.SECOND_OPINION, Join.FUSE}
        return (*experts, self.writer.planned) if last else experts


def make_plan(
    join: Join,
    experts: Sequence[tuple[Expert, float]],
    writer: Expert,
    question: Question,
    settings: JoinSettings,
    *,
    left_s: float | None,
) -> Plan:
    """Share tokens and time among the steps of an answer.

    Args:
        join: How answers are joined; not SINGLE.
        experts: The selected experts with their probabilities, the lead first; at least two.
        writer: Who writes from their words, or judges them.
        question: What is asked.
        settings: The operator's limits.
        left_s: Time until the deadline; None: there is none.

    Raises:
        InvalidRequestError: When there are fewer tokens than steps.
    """
    judged = join is Join.BEST_OF and bool(settings.judge)
    tokens, joined_tokens = share_tokens(join, len(experts), question.sampling.max_tokens)
    steps = tuple(
        Step(
            expert=expert,
            probability=probability,
            planned=PlannedStep(
                expert=expert.name,
                part=_part(join, index),
                max_tokens=tokens[index],
                time_s=_time(join, index, left_s, settings),
            ),
            first_token_timeout_s=settings.first_token_timeout_s,
            begin_within_s=_share(left_s, _FIRST_S),
            shape=_shape(join, question.shape),
            draft_timeout_s=_operators(join, left_s, settings),
        )
        for index, (expert, probability) in enumerate(experts)
    )
    return Plan(
        join=join,
        steps=steps,
        writer=Step(
            expert=writer,
            planned=PlannedStep(
                expert=writer.name,
                part=Part.JUDGE if judged else _WRITTEN.get(join, Part.JOINED),
                max_tokens=JUDGE_TOKENS if judged else joined_tokens,
                time_s=_share(left_s, _ALL_S),
            ),
            first_token_timeout_s=settings.first_token_timeout_s,
            shape=Shape(),
        ),
        order=question.constraints.order,
        drafts=question.constraints.drafts,
        quorum=max(1, -int(-len(experts) * settings.quorum // 1)),
        most_chars=settings.most_waiting_chars,
        judged=judged,
    )


def share_tokens(
    join: Join, experts: int, max_tokens: int | None
) -> tuple[list[int | None], int | None]:
    """Give the tokens of each expert, and of what is written from their words.

    Their sum is `max_tokens`; None: each writes what it writes by itself.

    Raises:
        InvalidRequestError: When there are fewer tokens than steps.
    """
    if max_tokens is None:
        return [None] * experts, None
    each, joined = _WEIGHTS[join]
    whole = each * experts + joined * (experts if join is Join.FUSE else 1)
    least = -(-whole // each)
    if max_tokens < least:
        steps = experts + (1 if joined else 0)
        raise InvalidRequestError(
            f"max_tokens is {max_tokens}, shared by {steps} steps of join {join.value!r}; send"
            f" {least} or more, or ask fewer experts",
            field="sampling.max_tokens",
        )
    share = max_tokens * each // whole
    last = max_tokens - share * experts if joined else 0
    shares: list[int | None] = [share] * experts
    if not joined:
        shares[0] = max_tokens - share * (experts - 1)
    return shares, last or None


def of_step(
    question: Question, step: Step, index: int, *, begun: float, stall_timeout_s: float
) -> Question:
    """Give the question as one step is asked it.

    Args:
        question: What the caller asks.
        step: The step.
        index: Its number.
        begun: Point on the event loop's clock at which the plan was made.
        stall_timeout_s: Longest silence between its tokens.
    """
    planned = step.planned
    return replace(
        question,
        # A backend may take two calls of one name for the same one.
        answer_id=f"{question.answer_id}-{index}" if index else question.answer_id,
        messages=question.messages if step.messages is None else step.messages,
        documents=question.documents if step.messages is None else (),
        sampling=replace(question.sampling, max_tokens=planned.max_tokens),
        deadline=question.deadline if planned.time_s is None else begun + planned.time_s,
        shape=step.shape,
        first_token_timeout_s=step.first_token_timeout_s,
        stall_timeout_s=stall_timeout_s,
        begin_by=None if step.begin_within_s is None else begun + step.begin_within_s,
        begun=step.messages is not None,
    )


def _part(join: Join, index: int) -> Part:
    if join is Join.PANEL or (join is Join.SECOND_OPINION and index == 0):
        return Part.EXPERT if index else Part.LEAD
    return Part.DRAFT


def _time(join: Join, index: int, left_s: float | None, settings: JoinSettings) -> float | None:
    if _part(join, index) is Part.LEAD:
        return _share(left_s, _LEAD_S)
    time_s = _share(left_s, _DRAFT_S.get(join, _ALL_S))
    if join is Join.FUSE:
        return min(settings.draft_timeout_s, time_s or settings.draft_timeout_s)
    return time_s


def _operators(join: Join, left_s: float | None, settings: JoinSettings) -> float | None:
    """Give the operator's limit on a draft's time, where it is the shorter one."""
    share = _share(left_s, _DRAFT_S[Join.FUSE])
    shorter = share is None or settings.draft_timeout_s < share
    return settings.draft_timeout_s if join is Join.FUSE and shorter else None


def _share(left_s: float | None, share: float) -> float | None:
    return None if left_s is None else left_s * share


def _shape(join: Join, shape: Shape) -> Shape:
    if join is Join.VOTE:
        return replace(shape, top_logprobs=VOTE_LOGPROBS, weighed=True)
    if join is Join.BEST_OF:
        # A judge may fail when the drafts are written, and then these are what ranks them.
        return replace(shape, top_logprobs=0, weighed=True)
    return shape
