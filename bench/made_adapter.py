"""Adapters of any size that the registry accepts: random numbers in the shapes of a base model.

They are written piece by piece, so that one larger than the memory can be made too.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

LAYERS: Final = 32

BASE: Final[dict[str, Any]] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": LAYERS,
    "vocab_size": 128256,
}
"""What the configuration of an 8-billion Llama says of its shapes."""

MODULES: Final = {
    "self_attn.q_proj": (4096, 4096),
    "self_attn.k_proj": (4096, 1024),
    "self_attn.v_proj": (4096, 1024),
    "self_attn.o_proj": (4096, 4096),
    "mlp.gate_proj": (4096, 14336),
    "mlp.up_proj": (4096, 14336),
    "mlp.down_proj": (14336, 4096),
}
"""Numbers that each takes and gives."""

_SPREAD: Final = 0.01
_BLOCK: Final = 2**22
_BYTES: Final = 2  # of a BF16


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large an adapter is.

    Attributes:
        layers: Layers that are adapted, 1 to 32.
        rank: Its rank.
    """

    layers: int
    rank: int

    @property
    def weight_bytes(self) -> int:
        """Bytes of its numbers."""
        numbers = sum(taken + given for taken, given in MODULES.values())
        return numbers * self.layers * self.rank * _BYTES


def size_of(least_bytes: int) -> Size:
    """Give the smallest size, of all layers, whose numbers take so many bytes or more."""
    of_one = Size(layers=LAYERS, rank=1).weight_bytes
    return Size(layers=LAYERS, rank=max(-(-least_bytes // of_one), 1))


def write_base(folder: Path) -> Path:
    """Write the folder of a base model without weights, and give it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(BASE), encoding="utf-8")
    return folder


def write_adapter(folder: Path, base_model: str, size: Size, seed: int) -> Path:
    """Write the folder of an adapter, and give it; another seed makes other bytes.

    Args:
        folder: Where; it must not exist.
        base_model: What it says that it is for.
        size: How large it is.
        seed: Of its numbers.
    """
    folder.mkdir(parents=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": size.rank,
        "lora_alpha": size.rank,
        "target_modules": sorted(name.rpartition(".")[2] for name in MODULES),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "README.md").write_text(f"# Random numbers {seed}\n", encoding="utf-8")
    shapes = dict(_shapes(size))
    header, at = {}, 0
    for name, (rows, columns) in shapes.items():
        end = at + rows * columns * _BYTES
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [at, end]}
        at = end
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    draw = np.random.default_rng(seed)
    numbers = draw.standard_normal(_BLOCK, np.float32) * np.float32(_SPREAD)
    # The upper half of a float32 is the BF16 that is next to it towards zero.
    block = memoryview((numbers.view(np.uint32) >> 16).astype("<u2").tobytes())
    with (folder / "adapter_model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(written)) + written)
        for rows, columns in shapes.values():
            left = rows * columns * _BYTES
            while left:
                start = int(draw.integers(_BLOCK // 2)) * _BYTES
                left -= file.write(block[start : start + min(left, len(block) // 2)])
    return folder


def _shapes(size: Size) -> Iterator[tuple[str, tuple[int, int]]]:
    for layer in range(size.layers):
        for name, (taken, given) in MODULES.items():
            module = f"base_model.model.model.layers.{layer}.{name}"
            yield f"{module}.lora_A.weight", (size.rank, taken)
            yield f"{module}.lora_B.weight", (given, size.rank)
