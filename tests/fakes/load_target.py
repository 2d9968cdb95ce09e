"""A vLLM server for load runs: the wire format of the fake, at a hundredth of its cost.

    python -m tests.fakes.load_target [--addresses 2] [--tokens 64]

It answers every question with the same tokens, whoever is asked, writes bytes that were made
once, and checks nothing. It says `targets URL…` when it listens, each URL with its `/v1`.
`POST /pace` with `{"first_token_ms": …, "token_ms": …}` says how answers are written from then
on; with a `token_ms` of 0 all that is left is one write, each event a chunk of its own.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import uvloop

from tests.fakes import vllm_wire as wire
from tests.fakes.vllm import BASE_MODEL, MAX_MODEL_LEN
from tests.fakes.vllm_script import Pace

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
_STREAM = _HEAD + b"transfer-encoding: chunked\r\n\r\n"
_LAST = b"0\r\n\r\n"
_PROMPT_TOKENS = 40
_BESIDE_TOKENS = 4
"""Events of an answer that are no tokens: role, finish, usage, end; the role comes with the
first token, the others with the last."""


class Target:
    """What all connections share.

    Args:
        tokens: Tokens of an answer.
        adapters: Names that `/v1/models` lists beside the base model's.

    Attributes:
        pace: How answers are written; `first_token_s` and `token_s` count.
        running: Answers under way.
    """

    def __init__(self, tokens: int, adapters: Sequence[str] = ()) -> None:
        self.words = wire.tokens_for(BASE_MODEL, [], tokens)
        self.models = json.dumps(wire.model_list(BASE_MODEL, adapters, MAX_MODEL_LEN)).encode()
        self.pace = Pace()
        self.running = 0

    def steps(self, body: dict[str, Any]) -> tuple[bytes, ...]:
        """Give what is written of an answer, token by token."""
        options = body.get("stream_options") or {}
        usage = bool(options.get("include_usage"))
        counted = usage and bool(options.get("continuous_usage_stats"))
        return _steps(body["model"], self.words, usage=usage, counted=counted)


@lru_cache(maxsize=64)
def _steps(model: str, words: tuple[str, ...], *, usage: bool, counted: bool) -> tuple[bytes, ...]:
    events = wire.answer_events(
        model, words, prompt_tokens=_PROMPT_TOKENS, usage=usage, counted=counted
    )
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    first, last = chunks[0] + chunks[1], b"".join(chunks[len(words) :]) + _LAST
    return (_STREAM + first, *chunks[2 : len(words)], last)


class TargetConnection(asyncio.Protocol):
    """One connection: a request, its answer, the next request.

    Args:
        target: What all connections share.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._waiting = b""
        self._steps: tuple[bytes, ...] = ()
        self._at = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Write no further."""
        self._end()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer each request that is whole."""
        self._waiting += data
        while (cut := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:cut].lower()
            begins, named = cut + 4, head.find(b"\r\ncontent-length:")
            length = int(head[named + 17 :].split(b"\r\n", 1)[0]) if named >= 0 else 0
            if len(self._waiting) < begins + length:
                return
            body = self._waiting[begins : begins + length]
            self._waiting = self._waiting[begins + length :]
            self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if path.endswith(b"/chat/completions"):
            self._begin(json.loads(body))
        elif path.endswith(b"/models"):
            self._plain(self._target.models)
        elif path == b"/pace":
            asked = json.loads(body)
            self._target.pace = Pace(
                first_token_s=asked["first_token_ms"] / 1e3, token_s=asked["token_ms"] / 1e3
            )
            self._plain(b"{}")
        elif path == b"/running":
            self._plain(b"%d" % self._target.running)
        else:
            self._plain(b"{}")

    def _plain(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)

    def _begin(self, body: dict[str, Any]) -> None:
        self._steps, self._at = self._target.steps(body), 0
        self._target.running += 1
        self._due = self._loop.time() + self._target.pace.first_token_s
        if self._target.pace.first_token_s:
            self._timer = self._loop.call_at(self._due, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Write the next token, or all that are left."""
        token_s = self._target.pace.token_s
        if not token_s:
            self._transport.write(b"".join(self._steps[self._at :]))
            self._end()
            return
        self._transport.write(self._steps[self._at])
        self._at += 1
        if self._at == len(self._steps):
            self._end()
            return
        self._due += token_s  # of a beat, so that what is late once is not late for good
        self._timer = self._loop.call_at(self._due, self._go_on)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._steps:
            self._steps = ()
            self._target.running -= 1


async def serve(target: Target, addresses: int) -> None:
    """Listen on as many ports, say which, and serve until cancelled."""
    loop = asyncio.get_running_loop()
    urls = []
    for _ in range(addresses):
        server = await loop.create_server(
            lambda: TargetConnection(target), "127.0.0.1", 0, backlog=4096
        )
        urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    print("targets", *urls, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--addresses", type=int, default=2, help="ports to listen on (2)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer, ≥ 2 (64)")
    parser.add_argument("--adapter", action="append", default=[], help="name that is listed")
    arguments = parser.parse_args()
    target = Target(arguments.tokens, arguments.adapter)
    uvloop.run(serve(target, arguments.addresses))


if __name__ == "__main__":
    main()
