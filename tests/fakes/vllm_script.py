"""What a fake vLLM can be told: how fast it writes, and what goes wrong next."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How answers are written.

    Attributes:
        first_token_s: Time to the first token.
        hold: Waited for before that.
        token_s: Time between events; 0: one after the other without a wait.
        tokens_per_event: Tokens that one event carries, as under speculative decoding.
        burst: The whole answer in one write.
        answer_tokens: Length of an answer, where `max_tokens` allows it.
    """

    first_token_s: float = 0.0
    hold: threading.Event | None = None
    token_s: float = 0.0
    tokens_per_event: int = 1
    burst: bool = False
    answer_tokens: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer with a status instead of a stream."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Send these bytes as the body; cut into pieces of `chop` bytes where that is not 0."""

    body: bytes
    content_type: str = "text/event-stream; charset=utf-8"
    chop: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Break the connection after so many bytes of the body, without ending the response.

    Attributes:
        after_bytes: Bytes sent first.
        after_events: Events sent first, instead: one for the role, then one for each token.
        reset: Reset the connection, so that bytes on their way are lost too.
        hold: Waited for between those bytes and the break.
    """

    after_bytes: int = 0
    after_events: int | None = None
    reset: bool = False
    hold: threading.Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """End the response properly after so many events."""

    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Stop writing after so many events, and wait until the client goes.

    Attributes:
        events: Events sent first; None: not even headers.
        comment_s: Send a comment every so many seconds, as `--sse-keep-alive-interval` does.
    """

    events: int | None = 0
    comment_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Send the right answer, but late.

    Attributes:
        first_token_s: Time to its first token.
        hold: Waited for before that.
    """

    first_token_s: float = 0.0
    hold: threading.Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Close the connection before any header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Send the right answer in pieces of so many bytes, cut in the middle of characters too."""

    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Garble:
    """Send so many events, and then one that is not JSON."""

    after_events: int


Fault = Refuse | Raw | Cut | Truncate | Silence | Late | HangUp | Split | Garble


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What holds for some prompts, by name of base model or adapter; else what holds for all.

    Attributes:
        texts: What answers say.
        paces: How they are written.
        faults: What goes wrong every time.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)


GARBAGE = b'data: {"choices": [{"index": 0, "delta": {"content": \xe5\x8b\n\n'
"""An event that is not JSON, nor UTF-8."""


@dataclass(slots=True, kw_only=True)
class Received:
    """A request that came in.

    Attributes:
        path: Path of the URL.
        headers: By lower-case name.
        body: The decoded JSON; empty for a GET.
        connection: Peer's port: two requests with the same one shared a connection.
        ended: Set once the whole answer was written.
        disconnected: Set once the client left before that.
    """

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    ended: threading.Event = field(default_factory=threading.Event)
    disconnected: threading.Event = field(default_factory=threading.Event)
