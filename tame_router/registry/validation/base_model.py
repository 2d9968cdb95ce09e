"""The base model that adapters must fit: its modules with their shapes, and its digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tame_router.catalog.base_model_name import canonical_name
from tame_router.errors import ConfigError
from tame_router.registry.manifest import FileEntry, make_manifest

CONFIG_FILE: Final = "config.json"

_CARD_FILE = "base_model.json"
_DENSE = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
# Source: `embedding_modules` of vLLM's model classes; the others have none.
_EMBEDDINGS_ADAPTED = ("LlamaForCausalLM",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleShape:
    """A module that LoRA can adapt.

    Attributes:
        inputs: Numbers it takes; of an embedding, its vocabulary.
        outputs: Numbers it gives.
        embedding: It looks up rows instead of multiplying, and its A and B are named otherwise.
    """

    inputs: int
    outputs: int
    embedding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModelShape:
    """A base model.

    Attributes:
        name: Its name, canonical.
        modules: Modules that engines can adapt, by their full name
            (`model.layers.0.self_attn.q_proj`); empty: its architecture is not known here, and
            shapes cannot be checked.
        digests: Digests by which uploads may name it; empty: not known.
    """

    name: str
    modules: Mapping[str, ModuleShape]
    digests: frozenset[str] = field(default_factory=frozenset)


def read_base_model(folder: Path) -> BaseModelShape:
    """Read what a base model's folder says of it.

    It needs `config.json`; where weights lie beside it they are part of the digest. The first
    call hashes them, which takes about a second a gigabyte; later ones look at sizes and times.

    Raises:
        ConfigError: When there is no `config.json`, or it cannot be read.
    """
    path = folder / CONFIG_FILE
    try:
        document = json.loads(path.read_bytes())
        modules = _modules(document)
    except OSError as error:
        raise ConfigError(
            f"registry.base_model_dir: {path} cannot be read: {error.strerror}; name the folder"
            " that holds the base model's config.json"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"registry.base_model_dir: {path} is no configuration of a base model: {error!r:.200}"
        ) from error
    digests = {base_model_digest(folder), _told_digest(folder)} - {""}
    return BaseModelShape(
        name=canonical_name(str(folder.absolute())), modules=modules, digests=frozenset(digests)
    )


def base_model_digest(folder: Path) -> str:
    """Give the digest of a base model: of the manifest of `config.json` and its safetensors.

    Raises:
        ConfigError: When a file cannot be read.
    """
    try:
        paths = sorted([folder / CONFIG_FILE, *folder.glob("*.safetensors")])
        stamps = tuple((p, p.stat().st_size, p.stat().st_mtime_ns) for p in paths)
        return _digest(stamps)
    except OSError as error:
        raise ConfigError(f"the base model in {folder} cannot be read: {error}") from error


@lru_cache(maxsize=16)
def _digest(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    entries = []
    for path, size, _ in stamps:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        entries.append(FileEntry(path=path.name, size_bytes=size, sha256=sha256))
    return make_manifest(entries).digest


def _told_digest(folder: Path) -> str:
    """Give the digest that the set-up wrote beside the embedded base model; empty: none."""
    try:
        document = json.loads((folder / _CARD_FILE).read_bytes())
    except (OSError, ValueError):
        return ""
    return str(document.get("digest", "")) if isinstance(document, dict) else ""


def _modules(document: Mapping[str, Any]) -> dict[str, ModuleShape]:
    architecture = next(iter(document.get("architectures") or [""]))
    if architecture not in _DENSE:
        return {}
    hidden, inner = int(document["hidden_size"]), int(document["intermediate_size"])
    heads = int(document["num_attention_heads"])
    # Absent or null: as many as there are heads, and the usual width.
    key_heads = int(document.get("num_key_value_heads") or heads)
    width = int(document.get("head_dim") or hidden // heads)
    layer = {
        "self_attn.q_proj": ModuleShape(inputs=hidden, outputs=heads * width),
        "self_attn.k_proj": ModuleShape(inputs=hidden, outputs=key_heads * width),
        "self_attn.v_proj": ModuleShape(inputs=hidden, outputs=key_heads * width),
        "self_attn.o_proj": ModuleShape(inputs=heads * width, outputs=hidden),
        "mlp.gate_proj": ModuleShape(inputs=hidden, outputs=inner),
        "mlp.up_proj": ModuleShape(inputs=hidden, outputs=inner),
        "mlp.down_proj": ModuleShape(inputs=inner, outputs=hidden),
    }
    modules = {
        f"model.layers.{number}.{name}": shape
        for number in range(int(document["num_hidden_layers"]))
        for name, shape in layer.items()
    }
    # Where both are one matrix, adapting one of them means two things.
    if architecture in _EMBEDDINGS_ADAPTED and not document.get("tie_word_embeddings", False):
        words = int(document["vocab_size"])
        modules["model.embed_tokens"] = ModuleShape(inputs=words, outputs=hidden, embedding=True)
        modules["lm_head"] = ModuleShape(inputs=hidden, outputs=words)
    return modules
