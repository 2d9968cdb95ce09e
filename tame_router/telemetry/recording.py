"""What one call leaves behind: its spans and its numbers.

An edge begins a recording (`recorder.Recorder.begin`), and whoever serves the call finds
it with `current()`. Facts come as plain values or as anything that has the named attributes.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Protocol

from tame_router.errors import TameError


class Chosen(Protocol):
    """A selected expert."""

    @property
    def probability(self) -> float:
        """Calibrated, in [0, 1]."""


class Decided(Protocol):
    """A decision."""

    @property
    def lead(self) -> str:
        """Name of the expert that answers first."""

    @property
    def experts(self) -> Sequence[Chosen]:
        """The selected experts, the lead first."""

    @property
    def stage(self) -> str:
        """What decided."""

    @property
    def reason(self) -> str:
        """Why."""

    @property
    def join(self) -> str:
        """How answers are joined."""

    @property
    def elapsed_us(self) -> int:
        """Time it took, in microseconds."""


class Stepped(Protocol):
    """What one expert did."""

    @property
    def revision(self) -> str:
        """The adapter revision that answered; empty: none."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens read."""

    @property
    def completion_tokens(self) -> int:
        """Tokens written."""

    @property
    def finish_reason(self) -> str:
        """Why it ended."""


class Answered(Protocol):
    """How an answer ended."""

    @property
    def outcome(self) -> str:
        """`ok`, `cancelled`, or an error's reason."""

    @property
    def elapsed_s(self) -> float:
        """From the request to the end."""

    @property
    def time_to_first_token_s(self) -> float | None:
        """To the first character; None: nothing was written."""

    @property
    def steps(self) -> Sequence[Stepped]:
        """What each expert that was asked did."""


class Recording:
    """Keeps nothing: what is current where no edge has begun a call.

    Attributes:
        trace: Headers that carry the trace on to the backend. They are filled at the
            decision, when the backend's span begins: hand the mapping on, not a copy.
    """

    __slots__ = ("trace",)

    def __init__(self) -> None:
        self.trace: Mapping[str, str] = {}

    def identified(self, tenant: str) -> None:
        """Note whose call it is."""

    def refused(self, why: str) -> None:
        """Note why an identity does not count, which the caller is not told: `expired`."""

    def asked(self, answer_id: str, pin: str = "") -> None:
        """Note that an answer is wanted; `pin`: the expert that the caller names."""

    def decided(self, decision: Decided, *, revision: str = "", backend: str = "") -> None:
        """Note who answers."""

    def left(self, expert: str, reason: str) -> None:
        """Note that one of several experts failed, and the answer goes on without it."""

    def fell_back(
        self, lead: str, kind: str, reason: str, *, expert: str, revision: str, backend: str
    ) -> None:
        """Note that another is asked in the place of an expert.

        Args:
            lead: The expert that was selected.
            kind: `base_model`, `expert` or `backend`.
            reason: How the one that was asked before failed, an error's reason.
            expert: Who is asked now.
            revision: Its adapter revision; empty: none.
            backend: Name of its backend.
        """

    def guarded(self, expert: str, action: str, *, seen: int, simplified: int) -> None:
        """Note what the guard of Traditional Chinese found in what an expert wrote.

        Args:
            expert: Name of the expert.
            action: `count` or `convert`.
            seen: Characters that were looked at.
            simplified: Simplified ones among them.
        """

    def answered(self, facts: Answered) -> None:
        """Note how the answer ended. Only the first word counts."""

    def failed(self, error: TameError) -> None:
        """Note that the call ended with an error."""

    def cancelled(self) -> None:
        """Note that the caller left."""


_CURRENT: ContextVar[Recording] = ContextVar("recording")


def current() -> Recording:
    """Give the recording of the call that is being served."""
    return _CURRENT.get(None) or Recording()


def refuse(why: str) -> None:
    """Note in the current recording why an identity does not count; the caller is not told."""
    current().refused(why)


def make_current(recording: Recording) -> None:
    """Make a recording the one of the call that is being served."""
    _CURRENT.set(recording)
