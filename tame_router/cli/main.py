"""The command line's root: commands, exit codes, and what an error looks like.

Nothing heavy is imported here; each command imports what it needs when it runs.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from tame_router import __version__
from tame_router.cli import (
    adapter,
    ask,
    audit,
    config,
    engine,
    experts,
    receipt,
    route,
    router,
    serve,
    tenant,
)
from tame_router.errors import ConfigError, InvalidRequestError, TameError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_INTERRUPTED = 130

EPILOG = """\
examples:
  tame serve                                   run the router
  tame ask "勞工被資遣可以拿多少資遣費？"          ask it, and watch the answer being written
  tame route "MOSFET 的 gate driver 要怎麼選?"   who would answer?
  tame experts check                           is everything under experts/ in order?
  tame adapter upload DIR --expert legal       bring an adapter to a running router
  tame tenant create hospital --grant '*'      let an organisation in
  tame engine start                            run a local vLLM with the experts' adapters

exit codes:
  0  done
  1  the call or the check failed; the reason is on standard error
  2  the command line, or what it was given to read, is not valid
  3  the configuration, an expert or the router's artefact is not valid
  130  interrupted
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="tame",
        description="TAME Router: chooses the domain experts for a query and streams their answer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"tame {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        serve,
        ask,
        route,
        experts,
        router,
        adapter,
        tenant,
        audit,
        receipt,
        engine,
        config,
    ):
        command.add(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    parsed = parser().parse_args(arguments)
    try:
        return _run(parsed)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone: nobody is left to tell, and the flush at exit must not
        # complain either. Source: the note on SIGPIPE in the manual of Python's `signal`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except TameError as error:
        sys.stderr.write(f"tame: {error.reason}: {error.message}\n")
        if isinstance(error, ConfigError):
            return EXIT_CONFIG
        return EXIT_USAGE if isinstance(error, InvalidRequestError) else EXIT_FAILED


def _run(parsed: argparse.Namespace) -> int:
    code = int(parsed.run(parsed))
    sys.stdout.flush()
    return code
