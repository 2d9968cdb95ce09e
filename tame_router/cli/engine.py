"""`tame engine start | status | stop`: the local vLLM."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json

if TYPE_CHECKING:
    from collections.abc import Callable

EPILOG = """\
The engine runs on after the command ends; its log, key and state lie in STATE_DIR/engine.
`--base-model` tells the engine only: give the router the same with TAME_ENGINE__BASE_MODEL,
or write engine.base_model into the configuration, which both read.

examples:
  tame engine start
  tame engine start --base-model yentinglin/Llama-3-Taiwan-70B-Instruct --tensor-parallel-size 4
  tame engine status
  tame engine stop
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "engine", summary="run a local vLLM", epilog=EPILOG)
    below = parser.add_subparsers(metavar="COMMAND", required=True)
    start = add_command(
        below,
        "start",
        summary="start it with the experts' adapters, and wait for it",
        epilog=EPILOG,
    )
    start.add_argument("--port", type=int, help="port to listen on, 0: any (engine.port)")
    start.add_argument(
        "--base-model", metavar="NAME", help="folder or hub name (engine.base_model)"
    )
    start.add_argument(
        "--tensor-parallel-size", type=int, metavar="N", help="GPUs (engine.tensor_parallel_size)"
    )
    start.set_defaults(run=run_start)
    status = add_command(
        below, "status", summary="tell how it is; exits 1 unless it is ready", epilog=EPILOG
    )
    add_json(status)
    status.set_defaults(run=run_status)
    stop = add_command(below, "stop", summary="stop it", epilog=EPILOG)
    stop.set_defaults(run=run_stop)
    for command in (start, status, stop):
        add_config(command)


def run_start(arguments: argparse.Namespace) -> int:
    """Start the engine, and show how far it is until it answers."""
    from tame_router.backends.engine.process import launch, wait_ready
    from tame_router.config_file import load_settings
    from tame_router.local_engine import engine_spec

    names = ("port", "base_model", "tensor_parallel_size")
    given = {name: getattr(arguments, name) for name in names}
    engine = {name: value for name, value in given.items() if value is not None}
    settings = load_settings(arguments.config, {"engine": engine} if engine else {})
    state = launch(engine_spec(settings))
    try:
        wait_ready(state, timeout_s=settings.engine.start_timeout_s, progress=_progress())
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[2K")
    sys.stdout.write(f"engine ready at {state.base_url}\n")
    return 0


def _progress() -> "Callable[[float, str], None]":
    """Make a progress line: rewritten on a terminal, a line a step in a pipe."""
    last = ""

    def show(waited_s: float, step: str) -> None:
        nonlocal last
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[2Kengine: {step} ({waited_s:.0f} s)")
            sys.stderr.flush()
        elif step != last:
            sys.stderr.write(f"engine: {step} ({waited_s:.0f} s)\n")
        last = step

    return show


def run_status(arguments: argparse.Namespace) -> int:
    """Tell how the engine is."""
    from tame_router.backends.engine.process import read_status
    from tame_router.config_file import load_settings

    status = read_status(load_settings(arguments.config).state_dir)
    facts: dict[str, object] = {"phase": status.phase}
    if status.state:
        facts |= {
            "base_url": status.state.base_url,
            "base_model": status.state.served_name,
            "revisions": list(status.state.revisions),
            "pid": status.state.pid,
            "log": status.state.log_path,
        }
    if arguments.json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{name:<11} {_shown(value)}\n" for name, value in facts.items())
    return 0 if status.phase == "ready" else 1


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def run_stop(arguments: argparse.Namespace) -> int:
    """Stop the engine."""
    from tame_router.backends.engine.process import stop
    from tame_router.config_file import load_settings

    running = stop(load_settings(arguments.config).state_dir)
    sys.stdout.write("engine stopped\n" if running else "no engine was running\n")
    return 0
