"""What gRPC's own library takes of a relayed answer: a server that writes ready-made messages.

    python bench/grpc_floor.py [--json] [--seconds 4]

Nothing is decided, read or encoded, so that no router over `grpc.aio` can cost less. Burst: five
messages at once, 16 answers at a time, as many as one of ours has when its backend writes in one
go. Paced: 64 messages 20 ms apart and a last one, 64 answers at a time.
"""

import argparse
import asyncio
import json
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


async def serve() -> None:
    """Serve, and say where."""
    server = grpc.aio.server()
    method: Any = grpc.unary_stream_rpc_method_handler(_answer)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"StreamChat": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def measure(seconds: float) -> dict[str, float]:
    """Give the CPU time of an answer, in milliseconds, by its kind."""
    found = {}
    with child(["bench.grpc_floor", "--serve"], {}, "serving on ") as process:
        for kind, at_once in (("burst", 16), ("paced", PACED)):
            request = grpc_request(process.address, kind.encode())
            way = Way(address=process.address, requests=[request], grpc=True)
            uvloop.run(run(way, at_once, 1))
            begun = cpu_s(process.pid)
            outcome = uvloop.run(run(way, at_once, seconds))
            found[kind] = round((cpu_s(process.pid) - begun) / max(outcome.answers, 1) * 1e3, 3)
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--seconds", type=float, default=4, help="length of each kind (4)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve())
        return
    found = measure(options.seconds)
    for kind, cpu_ms in found.items():
        print(f"{kind:<6} {cpu_ms:>8} ms of CPU per answer")
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
