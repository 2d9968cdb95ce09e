"""`tame serve`."""

import argparse
import sys

from tame_router.cli.arguments import Commands, add_command, add_config

EPILOG = """\
Prints `serving on HOST:PORT` (gRPC) and `serving HTTP on HOST:PORT` to standard output when it
takes calls; logs go to standard error. SIGTERM and Ctrl-C let answers under way finish within
server.grace_s.

examples:
  tame serve
  tame serve --port 0            on any free port
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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from tame_router import app
    from tame_router.config_file import load_settings

    given = {"host": arguments.host, "port": arguments.port, "insecure": arguments.insecure}
    server = {key: value for key, value in given.items() if value is not None}
    settings = load_settings(arguments.config, {"server": server} if server else {})

    def announce(address: str, http_address: str) -> None:
        sys.stdout.write(f"serving on {address}\n")
        if http_address:
            sys.stdout.write(f"serving HTTP on {http_address}\n")
        sys.stdout.flush()

    app.run(settings, announce)
    return 0
