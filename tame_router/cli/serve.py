"""`tame serve`."""

import argparse
import json
import os
import sys

from tame_router.cli.arguments import Commands, add_command, add_config

EPILOG = """\
Prints `serving on HOST:PORT` (gRPC) and `serving HTTP on HOST:PORT` to standard output when it
takes calls; logs go to standard error. SIGTERM and Ctrl-C let answers under way finish within
server.grace_s.

With --workers N it serves by N processes on the same ports: one that dies is replaced, and SIGHUP
replaces all of them by ones that have read the configuration and the experts anew. Where that is
not valid, nothing changes, and the log says why.

examples:
  tame serve
  tame serve --port 0            on any free port
  tame serve --workers 4         by four processes
  tame serve --insecure          without keys, for this machine only
  TAME_LOG__FORMAT=json tame serve --config /etc/tame/tame.yaml
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "serve", summary="run the router", epilog=EPILOG)
    add_config(parser)
    parser.add_argument("--host", help="address to listen on (server.host)")
    parser.add_argument("--port", type=int, help="port to listen on, 0: any (server.port)")
    parser.add_argument(
        "--insecure",
        action="store_const",
        const=True,
        help="ask nobody who they are; on loopback only (server.insecure)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that serve side by side (server.workers)",
    )
    parser.add_argument("--worker", type=_orders, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from tame_router.config_file import load_settings

    names = ("host", "port", "insecure", "workers")
    server = {name: getattr(arguments, name) for name in names}
    server = {name: value for name, value in server.items() if value is not None}
    given = (
        arguments.worker if arguments.worker is not None else ({"server": server} if server else {})
    )
    settings = load_settings(arguments.config, given)
    if settings.server.workers:
        from tame_router.workers.supervisor import supervise

        return supervise(settings, arguments.config, given, _announce)
    from tame_router import app

    if arguments.worker is None:
        app.run(settings, _announce)
    else:
        app.run(settings, _announce_once, lifeline=sys.stdin.fileno())
    return 0


def _orders(text: str) -> dict[str, dict[str, object]]:
    """Read what a worker is told: values by section and name."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise ValueError("expected an object of objects")
    return found


def _announce_once(address: str, http_address: str) -> None:
    """Announce to the one that sees to the workers, which reads no more afterwards."""
    _announce(address, http_address)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _announce(address: str, http_address: str) -> None:
    sys.stdout.write(f"serving on {address}\n")
    if http_address:
        sys.stdout.write(f"serving HTTP on {http_address}\n")
    sys.stdout.flush()
