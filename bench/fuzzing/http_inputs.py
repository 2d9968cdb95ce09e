"""Requests with fuzzed bodies, paths and headers over real HTTP, and what may come back."""

import contextlib
import http.client
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from hypothesis import strategies as st

from bench.fuzzing.drive import Inputs, Met, mostly
from bench.fuzzing.json_bodies import bodies
from bench.fuzzing.json_bodies import varied as varied_body

CHAT = "/v1/chat/completions"
TOLD = frozenset({200, 400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 503, 504})
"""Statuses that docs/openai.md names; 500 is one too, and a fault here."""
TIMEOUT_S = 60
GOOD_KEY = "{key}"
"""Stands for the good key in a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request.

    Attributes:
        method: Of HTTP.
        path: Of the URL, as it is sent.
        headers: Further headers.
        body: As it is sent.
        stays: The caller waits for the answer; otherwise it leaves once it has asked.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stays: bool


_latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=30)
_keys = mostly(
    f"Bearer {GOOD_KEY}",
    st.sampled_from(["", "Bearer", "Bearer ", f"Basic {GOOD_KEY}", f"Bearer {GOOD_KEY}x"]) | _latin,
    times=12,
)
_types = mostly(
    "application/json",
    st.sampled_from(["application/json; charset=utf-8", "APPLICATION/JSON ;", "text/plain", ""])
    | _latin,
    times=20,
)
_names = st.sampled_from(
    [
        *("x-request-id", "x-request-timeout-s", "traceparent", "x-api-key", "accept"),
        *("content-encoding", "authorization", "tracestate", "baggage"),
    ]
)
_words = st.sampled_from(["1e3", "nan", "-1", "0.001", "9" * 50, "00-" + "f" * 32]) | _latin
_more = mostly((), st.lists(st.tuples(_names, _words), max_size=3).map(tuple), times=8)
_paths = mostly(
    CHAT,
    st.sampled_from(
        [
            *("/v1/models", "/v1/models/legal", "/v1/completions", "/v1/responses", "/health"),
            *("/metrics", "/v1/embeddings", "/openapi.json", "/", "//", "/v1/models/%00%ff%2F.."),
        ]
    )
    | st.binary(max_size=12).map(
        lambda data: "/v1/models/" + "".join(f"%{byte:02x}" for byte in data)
    ),
    times=12,
)
_methods = mostly(
    "POST", st.sampled_from(["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "TRACE"]), times=20
)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """Draw a request; most go to the chat with the good key."""
    headers = (("authorization", draw(_keys)), ("content-type", draw(_types)), *draw(_more))
    return Ask(
        method=draw(_methods),
        path=draw(_paths),
        headers=headers,
        body=draw(bodies()),
        stays=draw(mostly(True, st.just(False), times=30)),
    )


class HttpSender:
    """Sends requests over one connection, and opens another where the service closed it.

    Args:
        address: Of the HTTP port.
        key: The good key.
    """

    def __init__(self, address: str, key: str) -> None:
        self._key = key
        self._link = http.client.HTTPConnection(address, timeout=TIMEOUT_S)

    def __call__(self, ask: Ask) -> Met:
        """Send one, and say what it met."""
        fresh = self._link.sock is None
        try:
            return self._send(ask)
        except (OSError, http.client.HTTPException) as error:
            self._link.close()
            if not fresh and isinstance(error, ConnectionError):
                return self(ask)  # the connection was at its end before this request
            name = type(error).__name__
            if _malformed(ask) and isinstance(error, ConnectionError):
                return Met(status="HTTP malformed, closed")
            return Met(status=f"HTTP {name}", fault=f"{ask.method}: {name}: {error}"[:80])

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _send(self, ask: Ask) -> Met:
        self._link.putrequest(ask.method, ask.path, skip_accept_encoding=True)
        for name, value in ask.headers:
            self._link.putheader(name, value.replace(GOOD_KEY, self._key).encode("latin-1"))
        self._link.putheader("content-length", str(len(ask.body)))
        self._link.endheaders(ask.body)
        if not ask.stays:
            self._link.close()
            return Met(status="HTTP left")
        with contextlib.closing(self._link.getresponse()) as answer:
            data = answer.read()
        status = answer.status
        kind = answer.headers.get_content_type()
        fault = "" if ask.method == "HEAD" else _fault(ask, status, kind, data)
        return Met(status=f"HTTP {status}", fault=fault)


def _malformed(ask: Ask) -> bool:
    """Tell whether a header is none: what follows it is not read, and the connection closed."""
    return any(ord(c) < 32 or ord(c) == 127 for _, value in ask.headers for c in value)


def _fault(ask: Ask, status: int, kind: str, data: bytes) -> str:
    """Say what is wrong with an answer; empty: nothing."""
    if status not in TOLD:
        return f"status {status}"
    if kind == "text/event-stream":
        return _stream_fault(data)
    if kind == "application/json":
        try:
            body = json.loads(data)
        except ValueError:
            return f"status {status} whose body is no JSON"
        if status >= 400 and ask.path != "/health" and set(body) != {"error"}:
            return f"status {status} whose body is no error"
    elif status >= 400 or ask.path == CHAT:
        return f"status {status} of type {kind}"
    return ""


def _stream_fault(data: bytes) -> str:
    """Say what is wrong with a stream: it ends with `[DONE]`, or with the caller's deadline."""
    last = data.rstrip().rpartition(b"\n\n")[2].removeprefix(b"data: ")
    if last == b"[DONE]":
        return ""
    try:
        error = json.loads(last)["error"]
    except (ValueError, KeyError, TypeError):
        return "a stream without an end"
    late = error["code"] == "DEADLINE_EXCEEDED"
    return "" if late else f"a stream that ends with {error['code']}"


def tell(ask: Ask) -> str:
    """Write how to send a request again; `$KEY` is the good key."""
    head = [f"-H {shlex.quote(f'{k}: {v}')}" for k, v in ask.headers]
    words = " ".join(head).replace(GOOD_KEY, "'$KEY'")
    return (
        f"printf '%b' {shlex.quote(_octal(ask.body))} | curl -X {ask.method} {words}"
        f" --data-binary @- http://HOST{ask.path}"
    )


def _octal(data: bytes) -> str:
    """Write bytes for `printf %b`."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\0{byte:03o}" for byte in data
    )


@contextlib.contextmanager
def json_inputs(address: str, key: str) -> Iterator[Inputs[Ask]]:
    """Give requests, and what sends them as long as the context is open."""
    sender = HttpSender(address, key)
    with contextlib.closing(sender):
        yield Inputs(drawn=asks(), varied=_varied, send=sender, tell=tell)


def _varied(ask: Ask, random: Random) -> Ask:
    return replace(ask, body=varied_body(ask.body, random))
