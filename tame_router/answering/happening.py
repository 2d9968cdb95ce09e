"""What a join is told, and what it wants done. Values only: a join has no clock and no socket.

A join is told the pieces that a step writes (`backends.backend.Piece`), then once that it ended
or failed. It answers with commands: events to emit, steps to ask, steps to stop.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from tame_router.answering.event import Event, ExpertFinish
from tame_router.answering.plan import Step
from tame_router.backends.backend import Piece
from tame_router.chat import FinishReason
from tame_router.errors import TameError


@dataclass(frozen=True, slots=True)
class Ended:
    """A step has said everything."""

    finish: ExpertFinish


@dataclass(frozen=True, slots=True)
class Failed:
    """A step cannot go on."""

    error: TameError


Happening = Piece | Ended | Failed


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask one more step, which gets the next number."""

    step: Step


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a step: nothing more is heard of it."""

    index: int


Command = Event | Ask | Stop


class JoinCourse(Protocol):
    """One answer of several experts, while it is made."""

    @property
    def listening(self) -> Collection[int]:
        """Steps whose happenings are wanted now, the most wanted first; none: it is over."""

    def begin(self) -> list[Command]:
        """Say what is done first; the plan's steps are asked by themselves."""

    def take(self, index: int, happening: Happening) -> list[Command]:
        """Take what a step did, and say what is done about it."""

    @property
    def finishes(self) -> list[ExpertFinish]:
        """How steps ended, in the order in which they did."""

    def outcome(self) -> FinishReason:
        """Say why the whole answer ended.

        Raises:
            TameError: When no expert answered; it holds every reason.
        """
