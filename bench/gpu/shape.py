"""Base models without weights, and random adapters for them, that vLLM takes for real ones.

With `--load-format dummy` vLLM draws the weights itself, so a configuration and the embedded base
model's tokenizer are all that a shape needs: what is said is noise, what it costs is not.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import save_file

DUMMY: Final = "dummy"
"""What adapters say that they are for, whatever it is served as."""

_TOKENIZER: Final = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_TOKENS: Final = ("bos_token_id", "eos_token_id", "pad_token_id", "vocab_size")
_SPREAD: Final = 0.01
_CONTEXT: Final = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a Llama, vocabulary excepted.

    Attributes:
        hidden: Width.
        layers: Layers.
        heads: Heads of attention; they share the width.
        kv_heads: Heads of keys and values.
        intermediate: Width inside the feed-forward part.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int

    @property
    def modules(self) -> dict[str, tuple[int, int]]:
        """All projections of a layer, with how many numbers each takes and gives."""
        narrow = self.hidden // self.heads * self.kv_heads
        return {
            "self_attn.q_proj": (self.hidden, self.hidden),
            "self_attn.k_proj": (self.hidden, narrow),
            "self_attn.v_proj": (self.hidden, narrow),
            "self_attn.o_proj": (self.hidden, self.hidden),
            "mlp.gate_proj": (self.hidden, self.intermediate),
            "mlp.up_proj": (self.hidden, self.intermediate),
            "mlp.down_proj": (self.intermediate, self.hidden),
        }


SHAPES: Final = {
    "llama-3-8b": Shape(hidden=4096, layers=32, heads=32, kv_heads=8, intermediate=14336),
    "tiny": Shape(hidden=256, layers=2, heads=4, kv_heads=2, intermediate=512),
}
"""That of Llama-3-Taiwan 8B, and one that a CPU runs in no time."""


def write_base(folder: Path, shape: Shape, embedded: Path) -> Path:
    """Write the folder of a base model without weights, and give it.

    Args:
        folder: Where; it must not exist.
        shape: Its sizes.
        embedded: Folder of the embedded base model, whose tokenizer and vocabulary it gets.
    """
    folder.mkdir(parents=True)
    for name in _TOKENIZER:
        shutil.copy(embedded / name, folder)
    known: dict[str, Any] = json.loads((embedded / "config.json").read_text(encoding="utf-8"))
    config = {name: known[name] for name in _TOKENS} | {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.hidden // shape.heads,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": _CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "tie_word_embeddings": False,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def write_adapter(folder: Path, shape: Shape, *, rank: int, seed: int) -> Path:
    """Write the folder of an adapter of all projections with random numbers, and give it.

    Args:
        folder: Where; it must not exist.
        shape: Of its base model.
        rank: Its rank, ≥ 1.
        seed: Of its numbers.
    """
    folder.mkdir(parents=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": DUMMY,
        "r": rank,
        "lora_alpha": rank,
        "bias": "none",
        "target_modules": sorted(name.rpartition(".")[2] for name in shape.modules),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "README.md").write_text(f"# Random numbers {seed}\n", encoding="utf-8")
    draw = np.random.default_rng(seed)
    weights = {
        name: (draw.standard_normal(size, np.float32) * _SPREAD).astype(np.float16)
        for name, size in _weights(shape, rank)
    }
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def _weights(shape: Shape, rank: int) -> Iterator[tuple[str, tuple[int, int]]]:
    for layer in range(shape.layers):
        for name, (taken, given) in shape.modules.items():
            module = f"base_model.model.model.layers.{layer}.{name}"
            yield f"{module}.lora_A.weight", (rank, taken)
            yield f"{module}.lora_B.weight", (given, rank)
