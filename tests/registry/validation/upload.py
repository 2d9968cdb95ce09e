"""A small adapter for a small base model, to be spoilt one way at a time."""

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.validation.base_model import BaseModelShape, read_base_model
from tame_router.registry.validation.rules import Rules
from tame_router.registry.validation.validation import Validation

EXPERT = "legal"
RANK = 2
LAYERS = 2
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
RULES = Rules(
    max_file_bytes=2**20,
    max_upload_bytes=2**23,
    max_rank=16,
    base_models=frozenset({"tiny-llama"}),
    backends={"local": "tiny-llama"},
)

BASE_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": LAYERS,
    "vocab_size": 32,
    "tie_word_embeddings": False,
}
SHAPES = {"self_attn.q_proj": (8, 8), "self_attn.v_proj": (8, 4), "mlp.down_proj": (12, 8)}
"""Inputs and outputs of the modules that the small adapter changes."""

Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]
"""By name: kind of numbers, shape, bytes."""


def write_base_model(folder: Path, **changed: object) -> Path:
    """Write a small base model's `config.json`, and weights that nobody reads as such."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**BASE_CONFIG, **changed}), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def base_model(folder: Path, **changed: object) -> BaseModelShape:
    """Write a small base model, and read its shape."""
    return read_base_model(write_base_model(folder / "tiny-llama", **changed))


def name(layer: int, module: str, part: str) -> str:
    """Name a tensor."""
    return f"base_model.model.model.layers.{layer}.{module}.{part}"


def numbers(
    *shape: int, value: float = 0.01, dtype: str = "F32"
) -> tuple[str, tuple[int, ...], bytes]:
    """Make a tensor of one number."""
    filled = np.full(shape, value, np.float32)
    if dtype == "F16":
        return dtype, shape, filled.astype(np.float16).tobytes()
    if dtype == "BF16":
        return dtype, shape, (filled.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return dtype, shape, filled.tobytes()


def small_tensors(dtype: str = "F32", rank: int = RANK) -> Tensors:
    """Make the tensors of the small adapter."""
    tensors: Tensors = {}
    for layer in range(LAYERS):
        for module, (inputs, outputs) in SHAPES.items():
            tensors[name(layer, module, "lora_A.weight")] = numbers(rank, inputs, dtype=dtype)
            tensors[name(layer, module, "lora_B.weight")] = numbers(outputs, rank, dtype=dtype)
    return tensors


def framed(header: bytes, data: bytes = b"") -> bytes:
    """Put a header's length before it, and data behind."""
    return struct.pack("<Q", len(header)) + header + data


def described(tensors: Tensors) -> dict[str, Any]:
    """Describe tensors that lie one behind the other."""
    document: dict[str, Any] = {}
    at = 0
    for key, (dtype, shape, data) in tensors.items():
        place = [at, at + len(data)]
        document[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": place}
        at += len(data)
    return document


def packed(tensors: Tensors) -> bytes:
    """Write a safetensors file."""
    document = {"__metadata__": {"format": "pt"}, **described(tensors)}
    return framed(json.dumps(document).encode(), b"".join(t[2] for t in tensors.values()))


def small_config(**changed: object) -> dict[str, Any]:
    """Make the small adapter's configuration; None takes a key away."""
    document: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "someone/Tiny-Llama",
        "r": RANK,
        "lora_alpha": 4,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj", "down_proj"],
        "modules_to_save": None,
        "use_dora": False,
        "use_rslora": False,
        "init_lora_weights": True,
        "rank_pattern": {},
        "alpha_pattern": {},
        "peft_version": "0.21.2",
        **changed,
    }
    return {key: value for key, value in document.items() if value is not None}


@dataclass(slots=True)
class Upload:
    """An upload as somebody might send it.

    Attributes:
        files: The bytes by path.
        announced: What is announced instead, where it is not what comes.
        base_model_digest: What it says of its base model.
        new_expert: It makes an expert.
    """

    files: dict[str, bytes]
    announced: tuple[FileEntry, ...] | None = None
    base_model_digest: str = ""
    new_expert: bool = False
    rules: Rules = RULES

    def entries(self) -> tuple[FileEntry, ...]:
        """Give what is announced."""
        return self.announced or tuple(entry(path, data) for path, data in self.files.items())

    def send(self, base: BaseModelShape | None, piece_bytes: int = 2**20) -> list[Finding]:
        """Send it whole, whatever is found on the way."""
        validation = Validation(
            self.rules,
            base,
            base_model_digest=self.base_model_digest,
            new_expert=self.new_expert,
        )
        findings = validation.announced(EXPERT, self.entries())
        for path, data in self.files.items():
            for start in range(0, len(data), piece_bytes):
                findings += validation.feed(path, data[start : start + piece_bytes])
        return findings + validation.finished()


def entry(path: str, data: bytes) -> FileEntry:
    """Describe a file."""
    return FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def small_upload(
    tensors: Tensors | None = None,
    config: Mapping[str, object] | None = None,
    weights: bytes | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Upload:
    """Make a good upload, or one whose weights, configuration or other files are given."""
    files = {
        CONFIG: json.dumps(small_config(**(config or {}))).encode(),
        WEIGHTS: packed(small_tensors() if tensors is None else tensors),
        "README.md": b"# legal\n",
    }
    if weights is not None:
        files[WEIGHTS] = weights
    return Upload(files={**files, **(more or {})})


def with_file(path: str, data: bytes = b"something") -> Upload:
    """Add a file to the small upload."""
    return small_upload(more={path: data})


def fatal(findings: Iterable[Finding]) -> set[Reason]:
    """Give the reasons for which an upload is refused."""
    return {finding.reason for finding in findings if finding.fatal}
