"""The folder of an adapter whose files are there to be sent, not to be loaded."""

import random
from pathlib import Path

MIB = 2**20


def write_adapter(folder: Path, *, model_bytes: int = 4 * MIB + 123) -> Path:
    """Write a folder: the files of a revision, and two that are none of it."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    model = random.Random(model_bytes).randbytes(model_bytes)
    (folder / "adapter_model.safetensors").write_bytes(model)
    (folder / "README.md").write_text("# 法律\n")
    (folder / "optimizer.pt").write_bytes(b"left out")
    (folder / ".gitattributes").write_text("left out")
    return folder
