"""What a server of gRPC takes of a relayed answer: gRPC's own library, and ours.

    python bench/grpc_floor.py [--json] [--seconds 4] [--rounds 3]

Ready-made messages are written; nothing is decided, read or encoded, so that no router over that
server can cost less. Burst: five messages at once, 16 answers at a time, as many as one of ours
has when its backend writes in one go. Paced: 64 messages 20 ms apart and a last one, 64 answers at
a time. The servers take turns, and the medians of their rounds are told.
"""

import argparse
import asyncio
import json
import socket
import statistics
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.overhead import child
from bench.relay_lines import grpc_request
from bench.relay_load import Way, cpu_s, run
from tame_router.http2.limits import Limits
from tame_router.http2.server import Http2Server

MESSAGE = b"\x1a\x30" + b"x" * 48
"""An event that holds words, as long as one of ours."""
LAST = b"\x2a\x02\x08\x01"
BURST, PACED, TOKEN_S = 4, 64, 0.02
SERVICE = "tame_router.v1.RouterService"


async def _answer(request: bytes, context: grpc.aio.ServicerContext) -> None:  # type: ignore[type-arg]
    """Write as many messages as the request says, 20 ms apart where those are many."""
    clock, paced = asyncio.get_running_loop().time, request == b"paced"
    due = clock()
    for _ in range(PACED if paced else BURST):
        if paced:
            due += TOKEN_S
            await asyncio.sleep(due - clock())
        await context.write(MESSAGE)
    await context.write(LAST)


SERVERS = ("asyncio", "grpcio")
"""As `server.transport` names them: ours, and gRPC's own library."""


async def serve(kind: str) -> None:
    """Serve, and say where."""
    method: Any = grpc.unary_stream_rpc_method_handler(_answer)
    handlers = (grpc.method_handlers_generic_handler(SERVICE, {"StreamChat": method}),)
    if kind == "grpcio":
        library = grpc.aio.server()
        library.add_generic_rpc_handlers(handlers)
        port = library.add_insecure_port("127.0.0.1:0")
        await library.start()
    else:
        ours = Http2Server(Limits(max_streams=1024, max_header_bytes=12_288, keepalive_s=60), 2**24)
        ours.add_generic_rpc_handlers(handlers)
        listener = socket.create_server(("127.0.0.1", 0))
        ours.listen(listener)
        port = listener.getsockname()[1]
        await ours.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


def measure(kind: str, seconds: float) -> dict[str, float]:
    """Give the CPU time of an answer, in milliseconds, burst and paced."""
    found = {}
    with child(["bench.grpc_floor", "--serve", kind], {}, "serving on ") as process:
        for pace, at_once in (("burst", 16), ("paced", PACED)):
            request = grpc_request(process.address, pace.encode())
            way = Way(address=process.address, requests=[request], grpc=True)
            uvloop.run(run(way, at_once, 1))
            begun = cpu_s(process.pid)
            outcome = uvloop.run(run(way, at_once, seconds))
            found[pace] = (cpu_s(process.pid) - begun) / max(outcome.answers, 1) * 1e3
    return found


def medians(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Measure each server in turn, and give the medians."""
    turns = [{kind: measure(kind, seconds) for kind in SERVERS} for _ in range(rounds)]
    return {
        kind: {
            pace: round(statistics.median(turn[kind][pace] for turn in turns), 3)
            for pace in ("burst", "paced")
        }
        for kind in SERVERS
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=4, help="length of each kind (4)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (3)")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve))
        return
    found = medians(options.rounds, options.seconds)
    for kind, cpu_ms in found.items():
        print(f"{kind:<8} burst {cpu_ms['burst']:>7}   paced {cpu_ms['paced']:>7}   ms of CPU")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
