"""The words of a conversation: what callers send, experts read and experts write.

Values only. Limits on them are checked where requests come in (`api/`), because
they depend on configuration and on the base model.
"""

import enum
from dataclasses import dataclass


class Role(enum.StrEnum):
    """Who speaks, spelt as in OpenAI's chat format."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class FinishReason(enum.StrEnum):
    """Why an answer ended, spelt as in OpenAI's chat format."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn; None leaves a value to the next in line.

    The caller's value wins, then the expert's, then the backend's own default.

    Attributes:
        max_tokens: Longest answer, in tokens, ≥ 1.
        temperature: In [0, 2]; 0 is greedy.
        top_p: In (0, 1].
        presence_penalty: In [-2, 2].
        frequency_penalty: In [-2, 2].
        seed: Non-negative, for repeatable draws.
        stop: Strings that end the answer; empty: none. The caller's are added to the expert's.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def over(self, base: "Sampling") -> "Sampling":
        """Lay these values over another's: ours where given, else the other's; stops of both."""
        return Sampling(
            max_tokens=base.max_tokens if self.max_tokens is None else self.max_tokens,
            temperature=base.temperature if self.temperature is None else self.temperature,
            top_p=base.top_p if self.top_p is None else self.top_p,
            presence_penalty=base.presence_penalty
            if self.presence_penalty is None
            else self.presence_penalty,
            frequency_penalty=base.frequency_penalty
            if self.frequency_penalty is None
            else self.frequency_penalty,
            seed=base.seed if self.seed is None else self.seed,
            stop=tuple(dict.fromkeys((*base.stop, *self.stop))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens spent, as the backend counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Sum the tokens of two steps."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )
