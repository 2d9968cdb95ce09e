"""What a fake vLLM can be told: how fast it writes, and what goes wrong next."""

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How answers are written.

    Attributes:
        first_token_s: Time to the first token.
        token_s: Time between events; 0: one after the other without a wait.
        tokens_per_event: Tokens that one event carries, as under speculative decoding.
        burst: The whole answer in one write.
        answer_tokens: Length of an answer, where `max_tokens` allows it.
    """

    first_token_s: float = 0.0
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
        hold: Waited for between those bytes and the break.
    """

    after_bytes: int
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
class HangUp:
    """Close the connection before any header."""


Fault = Refuse | Raw | Cut | Truncate | Silence | HangUp


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
