"""The environment semantic-router runs in, and how it is asked there."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.one_core import run_on_one_core
from bench.peer import PeerAnswers
from deploy.local.logged_command import InstallError, run, say
from tame_router.routing.onnx_encoder import OnnxEncoder
from tame_router.teaching.corpus import Corpus
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.trained_router import EMBEDDED_ENCODER, Lesson, build_encoder

ROOT = Path(__file__).resolve().parent.parent
SEMANTIC_ROUTER = "semantic-router==1.1.1"
OURS = ("numpy", "onnxruntime", "opencc", "pydantic", "tokenizers")
"""What our encoder needs there, in the versions we have here."""

SCRIPT = ROOT / "bench" / "peer_semantic_router.py"
NOTES = {
    "defaults": "IndexedRouter's defaults: top_k 5, mean, no threshold; all lines",
    "calibrated": "sum of top_k 5; its own fit on one line of ten, least confidence 0.5",
}


def make_environment(folder: Path) -> Path:
    """Make the environment where it is not, and give its interpreter.

    Raises:
        InstallError: When it cannot be made.
    """
    python, stamp = folder / "venv" / "bin" / "python", folder / "installed.txt"
    wanted = [SEMANTIC_ROUTER, *(f"{name}=={version(name)}" for name in OURS)]
    if python.exists() and stamp.exists() and stamp.read_text().split() == wanted:
        return python
    say(f"making the environment of {SEMANTIC_ROUTER} in {folder} (about two minutes)")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "install.log"
    run(log, [sys.executable, "-m", "venv", "--clear", str(folder / "venv")], "making it")
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    run(log, [*pip, *wanted], "installing it", count=90)
    run(log, [str(python), "-c", "import semantic_router"], "importing it")
    stamp.write_text("\n".join(wanted), encoding="utf-8")
    return python


def ask_semantic_router(
    lesson: Lesson, corpus: Corpus, asked: Sequence[str], fallback: str
) -> dict[str, PeerAnswers]:
    """Teach semantic-router with our lines, and ask it; by the way it was set up.

    Raises:
        InstallError: When it, or the encoder it needs, is not there.
    """
    encoder = build_encoder(lesson)
    if not isinstance(encoder, OnnxEncoder):
        raise InstallError("it needs the embedded encoder: run `make encoder`")
    state = lesson.state_dir.resolve()
    python = make_environment(state / "bench")
    texts = [u.text for u in corpus.utterances]
    task = {
        "lines": [(u.text, u.expert) for u in corpus.utterances],
        "questions": list(asked),
        "encoder": str(_encoder_folder(lesson).resolve()),
    }
    rows = EmbeddingStore(encoder, lesson.artefact_dir).embed(texts)
    with tempfile.TemporaryDirectory(dir=state / "bench") as name:
        folder = Path(name)
        np.save(folder / "embeddings.npy", rows)
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        _run(python, folder)
        answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return {name: _read(found, fallback, NOTES[name]) for name, found in answers.items()}


def _encoder_folder(lesson: Lesson) -> Path:
    model = lesson.encoder.model
    return Path(model) if model else lesson.state_dir / EMBEDDED_ENCODER


def _run(python: Path, folder: Path) -> None:
    try:
        run_on_one_core([str(python), str(SCRIPT), str(folder)])
    except subprocess.CalledProcessError as error:
        raise InstallError(f"it ended with exit code {error.returncode}") from error


def _read(found: dict[str, Any], fallback: str, note: str) -> PeerAnswers:
    leads = found.pop("leads")
    return PeerAnswers(
        leads=tuple(lead or fallback for lead in leads),
        unrouted=sum(lead is None for lead in leads) / len(leads),
        note=note,
        **found,
    )
