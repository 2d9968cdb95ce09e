"""Write a BERT sentence encoder as one ONNX graph with 8-bit weights.

From token identifiers to a vector of unit length: embedding, layers, mean over tokens,
length. One text at a time, so there is nothing to pad and nothing to mask. Weights are
quantised by column, activations while it runs. The operators of the domain
`com.microsoft` are ONNX Runtime's own, as it would fuse them itself.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

RUNTIME = "com.microsoft"
OPSET = 18
ROW_STEPS = 127
"""Largest weight of an embedding; the scale of a row maps its largest weight to it."""

STEPS = 63
"""Largest weight of a matrix; the scale of a column maps its largest weight to it.

Seven bits of eight: processors without VNNI add two products of an activation (to 255) and a
weight in 16 bits, and cut off what is larger. With all eight bits the least cosine was 0.993 on
such a processor and 0.997 elsewhere, so that one router decided differently on two machines.
Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, on
`reduce_range`.
"""

FloatArray = NDArray[np.float32]


class EncoderGraph:
    """Builds the graph, node by node.

    Args:
        settings: The encoder's `config.json`.
        tensors: Its weights, by the names transformers gives them.
    """

    def __init__(self, settings: Mapping[str, Any], tensors: Mapping[str, FloatArray]) -> None:
        self._settings = settings
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def write(self, path: Path) -> None:
        """Write the graph: input `input_ids`, int64 (1, n_tokens); output `embedding`."""
        state = self._embed()
        for layer in range(self._settings["num_hidden_layers"]):
            state = self._layer(f"encoder.layer.{layer}", state)
        self._pool(state)
        graph = helper.make_graph(
            self._nodes,
            "sentence_encoder",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "n_tokens"])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, self._width])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)

    @property
    def _width(self) -> int:
        width: int = self._settings["hidden_size"]
        return width

    def _node(
        self, operator: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any
    ) -> str:
        node = helper.make_node(operator, inputs, [output], domain=domain, **attributes)
        self._nodes.append(node)
        return output

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _embed(self) -> str:
        tensors = self._tensors
        rows = tensors["embeddings.word_embeddings.weight"]
        scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12) / ROW_STEPS
        words = self._constant("words", np.round(rows / scales).astype(np.int8))
        self._node("Gather", [words, "input_ids"], "word_steps")
        self._node("Cast", ["word_steps"], "word_floats", to=TensorProto.FLOAT)
        scale = self._constant("word_scales", scales.astype(np.float32))
        self._node("Gather", [scale, "input_ids"], "word_scale")
        self._node("Mul", ["word_floats", "word_scale"], "word")
        # One text has one token type: its row is the same everywhere.
        positions = self._constant(
            "positions",
            tensors["embeddings.position_embeddings.weight"]
            + tensors["embeddings.token_type_embeddings.weight"][:1],
        )
        self._node("Shape", ["input_ids"], "n_tokens", start=1, end=2)
        begin = self._constant("begin", np.array([0]))
        self._node("Slice", [positions, begin, "n_tokens"], "position")
        return self._normalised("embeddings.LayerNorm", "word", "position")

    def _layer(self, layer: str, state: str) -> str:
        attention = f"{layer}.attention"
        three = [f"{attention}.self.{part}" for part in ("query", "key", "value")]
        joined = self._linear(three, state, f"{attention}.joined")
        outputs = [f"{name}.out" for name in three]
        self._nodes.append(helper.make_node("Split", [joined], outputs, axis=-1, num_outputs=3))
        heads = self._settings["num_attention_heads"]
        mixed = f"{attention}.mixed"
        self._node("MultiHeadAttention", outputs, mixed, RUNTIME, num_heads=heads)
        output = self._linear([f"{attention}.output.dense"], mixed, f"{attention}.out")
        state = self._normalised(f"{attention}.output.LayerNorm", state, output)
        inner = self._linear([f"{layer}.intermediate.dense"], state, f"{layer}.inner")
        bent = self._node("Gelu", [inner], f"{layer}.bent", RUNTIME)
        output = self._linear([f"{layer}.output.dense"], bent, f"{layer}.out")
        return self._normalised(f"{layer}.output.LayerNorm", state, output)

    def _linear(self, names: Sequence[str], state: str, output: str) -> str:
        """Add one product for several matrices side by side."""
        weights = np.concatenate([self._tensors[f"{name}.weight"] for name in names]).T
        scales = np.abs(weights).max(axis=0) / STEPS
        inputs = [
            state,
            self._constant(f"{output}.weight", np.round(weights / scales).astype(np.int8)),
            self._constant(f"{output}.scale", scales.astype(np.float32)),
            self._constant(f"{output}.zero", np.zeros(len(scales), np.int8)),
            self._constant(
                f"{output}.bias", np.concatenate([self._tensors[f"{name}.bias"] for name in names])
            ),
        ]
        return self._node("DynamicQuantizeMatMul", inputs, output, RUNTIME)

    def _normalised(self, name: str, one: str, other: str) -> str:
        # The runtime's fused SkipLayerNormalization took five times as long as these two.
        total = self._node("Add", [one, other], f"{name}.sum")
        weight = self._constant(f"{name}.weight", self._tensors[f"{name}.weight"])
        bias = self._constant(f"{name}.bias", self._tensors[f"{name}.bias"])
        epsilon = self._settings["layer_norm_eps"]
        return self._node(
            "LayerNormalization", [total, weight, bias], f"{name}.out", epsilon=epsilon
        )

    def _pool(self, state: str) -> None:
        axis = self._constant("token_axis", np.array([1]))
        mean = self._node("ReduceMean", [state, axis], "mean", keepdims=0)
        self._node("LpNormalization", [mean], "embedding", axis=-1, p=2)
