"""What became of each step of an answer: who was asked, ended, failed, was stopped. Pure."""

from tame_router.answering.draft import Draft
from tame_router.answering.event import (
    Delta,
    DraftDelta,
    ExpertFinish,
    ExpertStart,
    Note,
    Part,
)
from tame_router.answering.happening import Ask, Command, Ended, Failed, Stop
from tame_router.answering.label import title
from tame_router.answering.plan import Plan, Step
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason
from tame_router.errors import DeadlineExceededError, NoExpertAnsweredError, TameError

NOT_WAITED_FOR = "NOT_WAITED_FOR"
TOO_LONG = "TOO_LONG"
UNREADABLE = "UNREADABLE"
NO_FAILURES = frozenset({NOT_WAITED_FOR, UNREADABLE})
"""Reasons of notes about experts that did what was asked of them."""


class Roster:
    """Keeps the steps of one answer, and makes the events that tell of them.

    Args:
        plan: What is to be done.
        language: Language of the question, for titles and notices.

    Attributes:
        cut: Steps that met their time: what they had written by then can be used.
    """

    def __init__(self, plan: Plan, language: str) -> None:
        self.plan = plan
        self.language = language
        self.steps: list[Step] = list(plan.steps)
        self.open: list[int] = list(range(len(plan.steps)))
        self.finishes: list[ExpertFinish] = []
        self.finished: dict[int, ExpertFinish] = {}
        self._failures: dict[int, TameError] = {}
        self._left: dict[int, tuple[str, str]] = {}
        self.cut: set[int] = set()
        self._written: dict[int, int] = {}

    @property
    def experts(self) -> range:
        """Numbers of the experts that the question itself is put to."""
        return range(len(self.plan.steps))

    @property
    def experts_open(self) -> list[int]:
        """Those of them that are not over, in their order."""
        return [index for index in self.open if index < len(self.plan.steps)]

    def title(self, index: int) -> str:
        """Give the title of a step's expert in the question's language."""
        return title(self.steps[index].expert, self.language)

    def ask(self, step: Step) -> tuple[Ask, ExpertStart]:
        """Have one more step asked."""
        self.steps.append(step)
        self.open.append(len(self.steps) - 1)
        return Ask(step), self.start(len(self.steps) - 1)

    def start(self, index: int) -> ExpertStart:
        """Tell that a step was asked."""
        step = self.steps[index]
        return ExpertStart(
            expert=step.expert.name,
            revision=step.expert.live_revision,
            notice=step.expert.notice(self.language),
            part=step.planned.part,
            probability=step.probability,
            title=self.title(index),
        )

    def delta(self, index: int, piece: Piece, part: Part | None = None) -> Delta:
        """Hand on what a step wrote."""
        step = self.steps[index]
        return Delta(
            expert=step.expert.name,
            revision=step.expert.live_revision,
            text=piece.text,
            tool_calls=piece.tool_calls,
            part=part or step.planned.part,
        )

    def label(self, index: int, text: str) -> Delta:
        """Say something of the router's own about a step."""
        return self.delta(index, Piece(text=text), Part.LABEL)

    def keep(self, index: int, draft: Draft, piece: Piece) -> list[Command]:
        """Put a piece to a draft, and show it where drafts are wanted.

        A step that has written more than is held is stopped, and not open any longer.
        """
        draft.add(piece)
        self._written[index] = draft.size
        told: list[Command] = []
        if self.plan.drafts and piece.text:
            expert = self.steps[index].expert
            told.append(
                DraftDelta(expert=expert.name, revision=expert.live_revision, text=piece.text)
            )
        if draft.size > self.plan.most_chars:
            message = f"the draft was cut after {draft.size} characters (most_waiting_chars)"
            told += [Stop(index), self.stop(index, TOO_LONG, message)]
        return told

    def over(self, index: int, how: Ended | Failed) -> ExpertFinish | Note:
        """Tell how a step ended by itself."""
        self.open.remove(index)
        step = self.steps[index]
        if isinstance(how, Failed):
            error = how.error
            if isinstance(error, DeadlineExceededError):
                self.cut.add(index)
                error = _own_limit(step) or error
            self._failures[index] = error
            self._left[index] = (error.reason, error.message)
            return self._note(index, error.reason, error.message)
        finish = ExpertFinish(
            expert=step.expert.name,
            revision=step.expert.live_revision,
            finish_reason=how.finish.finish_reason,
            usage=how.finish.usage,
            time_to_first_token_s=how.finish.time_to_first_token_s,
            elapsed_s=how.finish.elapsed_s,
            notice=step.expert.notice(self.language),
            part=step.planned.part,
        )
        self.finishes.append(finish)
        self.finished[index] = finish
        return finish

    def stop(self, index: int, reason: str, message: str) -> Note:
        """Tell that a step is not listened to any longer; it is to be stopped."""
        self.open.remove(index)
        self._left[index] = (reason, message)
        return self._note(index, reason, message)

    def remark(self, index: int, reason: str, message: str) -> Note:
        """Tell something of a step that has ended."""
        return self._note(index, reason, message)

    def reason(self) -> FinishReason:
        """Say why the first expert that finished ended.

        Raises:
            TameError: As `refuse` does.
        """
        first = next((self.finished[i] for i in self.experts if i in self.finished), None)
        if first is None:
            raise self._refusal()
        return first.finish_reason

    def _refusal(self) -> TameError:
        """Give the error of an answer to which no expert has contributed."""
        left = sorted((i, *told) for i, told in self._left.items() if i in self.experts)
        names = {i: self.steps[i].expert.name for i, _, _ in left}
        facts = {f"expert.{names[i]}": reason for i, reason, _ in left}
        errors = [error for i, error in sorted(self._failures.items()) if i in names]
        reasons = {reason for _, reason, _ in left}
        if errors and len(reasons) == 1:
            errors[0].metadata.update(facts)
            return errors[0]
        retry_after_s = min((e.retry_after_s for e in errors if e.retry_after_s), default=None)
        helps = ["try again"] if retry_after_s else []
        if TOO_LONG in reasons:
            helps.append("send a smaller max_tokens")
        if any(
            isinstance(error, DeadlineExceededError) and self.steps[i].draft_timeout_s is None
            for i, error in self._failures.items()
        ):
            helps.append("allow more time")
        told = "; ".join(f"{names[i]}: {message}" for i, _, message in left)
        advice = f"; {', or '.join(helps)}" if helps else ""
        return NoExpertAnsweredError(
            f"none of {len(self.plan.steps)} experts answered ({told}){advice}",
            metadata=facts,
            retry_after_s=retry_after_s,
        )

    def _note(self, index: int, reason: str, message: str) -> Note:
        step = self.steps[index]
        return Note(
            expert=step.expert.name,
            revision=step.expert.live_revision,
            part=step.planned.part,
            reason=reason,
            message=message,
            written=self._written.get(index, 0),
        )


def _own_limit(step: Step) -> DeadlineExceededError | None:
    """Give the error of a draft that met the operator's limit; None: it was the caller's."""
    if step.draft_timeout_s is None:
        return None
    return DeadlineExceededError(
        f"its draft was not finished in the {step.draft_timeout_s:g} s that one may take"
        " (joins.draft_timeout_s); ask for fewer tokens"
    )
