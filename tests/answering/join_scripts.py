"""Joins without a network: experts that follow a script, heard in any order."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from tame_router.answering.event import DecisionMade, Event, ExpertFinish, Final
from tame_router.answering.happening import Ask, Command, Ended, Failed, Happening, JoinCourse, Stop
from tame_router.answering.plan import Plan, make_plan
from tame_router.answering.question import Question
from tame_router.backends.backend import Piece
from tame_router.catalog.expert import Expert
from tame_router.chat import FinishReason, Message, Role, Sampling, Usage
from tame_router.config import JoinSettings
from tame_router.errors import BackendSilentError
from tame_router.routing.decision import (
    Constraints,
    Decision,
    ExpertProbability,
    Join,
    Reason,
    Stage,
)

USAGE = Usage(prompt_tokens=3, completion_tokens=2)
QUESTION = Question(answer_id="id-12345", messages=(Message(role=Role.USER, content="？"),))
Script = tuple[tuple[Piece, ...], bool]
"""What an expert writes, and whether it fails then."""


def expert(name: str) -> Expert:
    """Give an expert of this name."""
    return Expert(
        name=name,
        titles={"zh-TW": f"題{name}", "en": name.title()},
        descriptions={},
        prompt=f"You are {name}.",
        backend="local",
        live=None,
        sampling=Sampling(),
        notices={},
        folder=Path(),
    )


def plan(
    join: Join,
    probabilities: Sequence[float] = (0.6, 0.3),
    constraints: Constraints | None = None,
    settings: JoinSettings | None = None,
    writer: str = "writer",
) -> Plan:
    """Plan an answer of experts e0, e1 and so on."""
    experts = [(expert(f"e{n}"), p) for n, p in enumerate(probabilities)]
    asked = Question(
        answer_id="id-12345",
        messages=QUESTION.messages,
        constraints=constraints or Constraints(join=join),
    )
    return make_plan(join, experts, expert(writer), asked, settings or JoinSettings(), left_s=None)


def finish(name: str, reason: FinishReason = FinishReason.STOP) -> Ended:
    """End an expert's answer."""
    return Ended(
        ExpertFinish(
            expert=name,
            revision="",
            finish_reason=reason,
            usage=USAGE,
            time_to_first_token_s=0.1,
            elapsed_s=0.2,
            notice="",
        )
    )


def play(
    course: JoinCourse, planned: Plan, scripts: Sequence[Script], pick: Callable[[list[int]], int]
) -> list[Event]:
    """Carry an answer out as the ensemble does, and give its events.

    Args:
        course: The join.
        planned: What it carries out.
        scripts: What each step does; the last one is the writer's.
        pick: Chooses which of the steps that are listened to is heard next.
    """
    waiting: list[deque[Happening]] = [_happenings(n, s) for n, s in enumerate(scripts)]
    stopped: set[int] = set()
    steps = len(planned.steps)
    events: list[Event] = [DecisionMade(answer_id="id-12345", decision=decision(planned))]

    def obey(commands: list[Command]) -> None:
        nonlocal steps
        for command in commands:
            if isinstance(command, Stop):
                stopped.add(command.index)
            elif isinstance(command, Ask):
                steps += 1
            else:
                events.append(command)

    obey(course.begin())
    while listening := list(course.listening):
        assert set(listening) <= set(range(steps)) - stopped
        index = pick(listening)
        obey(course.take(index, waiting[min(index, len(scripts) - 1)].popleft()))
    reason = course.outcome()
    events.append(Final(finish_reason=reason, usage=Usage(), elapsed_s=1))
    return events


def decision(planned: Plan) -> Decision:
    """Give the decision that led to a plan."""
    experts = tuple(
        ExpertProbability(expert=step.expert.name, probability=step.probability)
        for step in planned.steps
    )
    return Decision(
        experts=experts,
        probabilities=experts,
        stage=Stage.FAST,
        reason=Reason.MOST_PROBABLE,
        join=planned.join,
        language="en",
        elapsed_us=1,
    )


def _happenings(index: int, script: Script) -> deque[Happening]:
    pieces, fails = script
    end: Happening = (
        Failed(BackendSilentError(f"e{index} is silent")) if fails else finish(f"e{index}")
    )
    return deque((*pieces, end))
