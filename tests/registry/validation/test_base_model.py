"""Reading a base model's folder."""

import json
import os
from pathlib import Path

import pytest

from tame_router.errors import ConfigError
from tame_router.registry.validation.base_model import (
    ModuleShape,
    base_model_digest,
    read_base_model,
)
from tests.registry.validation.upload import base_model, write_base_model


def test_modules_have_the_shapes_that_the_configuration_gives(tmp_path: Path) -> None:
    """Heads that share keys and values, a width of their own, and both embeddings."""
    modules = base_model(tmp_path, head_dim=3).modules
    assert len(modules) == 2 * 7 + 2
    layer = "model.layers.1."
    assert modules[layer + "self_attn.q_proj"] == ModuleShape(inputs=8, outputs=12)
    assert modules[layer + "self_attn.k_proj"] == ModuleShape(inputs=8, outputs=6)
    assert modules[layer + "self_attn.v_proj"] == ModuleShape(inputs=8, outputs=6)
    assert modules[layer + "self_attn.o_proj"] == ModuleShape(inputs=12, outputs=8)
    assert modules[layer + "mlp.up_proj"] == ModuleShape(inputs=8, outputs=12)
    assert modules[layer + "mlp.down_proj"] == ModuleShape(inputs=12, outputs=8)
    assert modules["model.embed_tokens"] == ModuleShape(inputs=32, outputs=8, embedding=True)
    assert modules["lm_head"] == ModuleShape(inputs=8, outputs=32)


@pytest.mark.parametrize(
    "changed",
    [
        {"tie_word_embeddings": True},
        {"architectures": ["Qwen2ForCausalLM"]},
        {"architectures": ["MistralForCausalLM"]},
    ],
)
def test_embeddings_that_engines_do_not_adapt(tmp_path: Path, changed: dict[str, object]) -> None:
    """Embeddings that are one matrix, or of another architecture, cannot be adapted."""
    modules = base_model(tmp_path, **changed).modules
    assert len(modules) == 2 * 7


def test_heads_that_share_nothing(tmp_path: Path) -> None:
    """Where the number of key heads is null, each head has its own."""
    modules = base_model(tmp_path, num_key_value_heads=None).modules
    assert modules["model.layers.0.self_attn.k_proj"].outputs == 8


def test_an_architecture_not_known_has_no_modules(tmp_path: Path) -> None:
    """It can be served; its shapes are not checked."""
    assert base_model(tmp_path, architectures=["MambaForCausalLM"]).modules == {}


def test_its_name_and_digests(tmp_path: Path) -> None:
    """It goes by its folder's name, its manifest's digest, and the digest told beside it."""
    folder = write_base_model(tmp_path / "Tiny-Llama")
    (folder / "base_model.json").write_text(json.dumps({"digest": "d" * 64}), encoding="utf-8")
    shape = read_base_model(folder)
    assert shape.name == "tiny-llama"
    assert shape.digests == {"d" * 64, base_model_digest(folder)}


def test_the_digest_follows_the_bytes(tmp_path: Path) -> None:
    """Other weights are another digest; other files beside them are not."""
    folder = write_base_model(tmp_path / "tiny-llama")
    before = base_model_digest(folder)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert base_model_digest(folder) == before
    (folder / "model.safetensors").write_bytes(b"others.")
    stat = (folder / "model.safetensors").stat()
    os.utime(folder / "model.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert base_model_digest(folder) != before


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"architectures": ["LlamaForCausalLM"]}', "[" * 9999]
)
def test_a_configuration_that_is_none(tmp_path: Path, text: str) -> None:
    """It stops the start, and names the setting."""
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"registry\.base_model_dir"):
        read_base_model(tmp_path)


def test_no_configuration(tmp_path: Path) -> None:
    """A folder without config.json stops the start, and so does its digest."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_base_model(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        base_model_digest(tmp_path)
