"""How fast a refusal is: asked for now and then by a process of its own, which does nothing else.

    python -m bench.overload_probe ADDRESS TEXT     # the key in TAME_PROBE_KEY; reads lines

The program that makes the load has hundreds of calls to look after, and would time itself. This one
asks one at a time: an answer, whose refusal it times, or which it leaves when it is let in; and the
health of the router, which needs no decision: as long as that takes a call anyway, on this machine,
beside this load. For each line `SETTLE_S SECONDS` it writes one line of JSON.
"""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from bench.overload_load import METHOD, question

HEALTH: Final = "/grpc.health.v1.Health/Check"
EVERY_S: Final = 0.04
_ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What came of probing one offer.

    Attributes:
        refusals_ms: Times from asking to the whole of the refusal.
        health_ms: Times of the calls that ask for the health.
    """

    refusals_ms: list[float]
    health_ms: list[float]


class Probe:
    """The process, from outside.

    Args:
        process: It runs.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    async def probe(self, *, settle_s: float, seconds: float) -> Probed:
        """Ask for some seconds.

        Args:
            settle_s: How long it waits before.
            seconds: How long it asks.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write(f"{settle_s} {seconds}\n".encode())
        return Probed(**json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def probing(address: str, text: str, key: str) -> AsyncIterator[Probe]:
    """Run the process.

    Args:
        address: The router's gRPC address.
        text: What it asks.
        key: The API key it asks with; empty: none.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.overload_probe", address, text),
        cwd=_ROOT,
        env={**os.environ, "TAME_PROBE_KEY": key},
        stdin=PIPE,
        stdout=PIPE,
        limit=1 << 24,
    )
    try:
        yield Probe(process)
    finally:
        process.terminate()
        await process.wait()


def _timed(call: Callable[[], bool]) -> float | None:
    """Give how long a call takes, in milliseconds, where it says that it counts."""
    begun = time.perf_counter()
    return (time.perf_counter() - begun) * 1e3 if call() else None


def _asker(channel: grpc.Channel, text: str, key: str) -> Callable[[], bool]:
    stream: Any = channel.unary_stream(METHOD, request_serializer=None, response_deserializer=None)
    request, metadata = question(text), (("x-api-key", key),) if key else ()

    def ask() -> bool:
        call = stream(request, metadata=metadata, timeout=20)
        try:
            for _ in call:
                call.cancel()  # it is let in
                return False
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return False

    return ask


def main() -> None:
    """Obey the lines."""
    address, text = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        ask = _asker(channel, text, os.environ["TAME_PROBE_KEY"])
        health: Any = channel.unary_unary(HEALTH)
        for line in sys.stdin:
            settle_s, seconds = map(float, line.split())
            time.sleep(settle_s)
            end = time.monotonic() + seconds
            found: dict[str, list[float]] = {"refusals_ms": [], "health_ms": []}
            while time.monotonic() < end:
                time.sleep(EVERY_S)
                took_ms = _timed(lambda: bool(health(b"")))
                found["health_ms"].append(took_ms or 0.0)
                if (refused_ms := _timed(ask)) is not None:
                    found["refusals_ms"].append(refused_ms)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
