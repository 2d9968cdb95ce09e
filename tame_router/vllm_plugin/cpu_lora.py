"""Adapters on a CPU: each token by the adapter it is asked of, and none of the base model's.

vLLM 0.32 computes them on a CPU with three operators that are wrong and slow. A token of the
base model, whose slot is -1, takes the adapter in the last slot as soon as another token of the
batch has one: who asks the base model is answered by somebody's adapter. And every token copies
its adapter's matrices, which takes longer than the base model's own. Ours multiply the tokens
of each slot together, and leave those of no slot alone. On a GPU vLLM has operators of its own.
"""

import inspect
import logging
from types import ModuleType
from typing import Any

_log = logging.getLogger("vllm.tame_adapters")


def install() -> None:
    """Put the operators in the place of vLLM's, where those are what they were in 0.32."""
    try:
        from vllm.lora.ops import torch_ops
        from vllm.lora.ops.torch_ops import lora_ops
        from vllm.lora.punica_wrapper import punica_cpu
    except ImportError as error:
        _log.warning("vLLM's own operators for adapters stay: %s", error)
        return
    for ours in (bgmv_expand, bgmv_expand_slice, bgmv_shrink):
        theirs = getattr(lora_ops, ours.__name__, None)
        if theirs is None or list(inspect.signature(theirs).parameters) != _parameters(ours):
            _log.warning("vLLM's own operator %s stays: it is another one", ours.__name__)
            continue
        for module in (lora_ops, torch_ops, punica_cpu):
            _replace(module, ours.__name__, ours)


def bgmv_shrink(
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    scaling: float = 1.0,
) -> None:
    """Multiply with the first matrices, into `output_tensor`."""
    outputs = _product(inputs, lora_b_weights, lora_indices_tensor, output_tensor.dtype)
    output_tensor[:, : outputs.shape[1]] = scaling * outputs


def bgmv_expand(
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    add_inputs: bool = True,
) -> None:
    """Multiply with the second matrices, and add to `output_tensor` or put in its place."""
    outputs = _product(inputs, lora_b_weights, lora_indices_tensor, output_tensor.dtype)
    # Adapter and base model may be padded differently.
    width = min(outputs.shape[1], output_tensor.shape[1])
    if outputs.shape[0] != 1:
        outputs = outputs[: output_tensor.shape[0]]
    if add_inputs:
        output_tensor[:, :width] += outputs[:, :width]
    else:
        output_tensor[:, :width] = outputs[:, :width]


def bgmv_expand_slice(
    inputs: Any,
    lora_b_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """The same for some columns of `output_tensor`."""
    outputs = _product(inputs, lora_b_weights, lora_indices_tensor, output_tensor.dtype)
    columns = slice(slice_offset, slice_offset + slice_size)
    if add_inputs:
        output_tensor[:, columns] += outputs
    else:
        output_tensor[:, columns] = outputs


def _product(inputs: Any, weights: Any, slots: Any, dtype: Any) -> Any:
    """Multiply each token with the matrix of its slot.

    Args:
        inputs: Shape (n_tokens, width).
        weights: Shape (n_slots, 1, out, width), or without the second dimension.
        slots: Of each token, shape (n_tokens,); -1: none.
        dtype: Of the outputs.

    Returns:
        Shape (n_tokens, out); zeros for tokens without a slot.
    """
    if weights.dim() == 4:
        weights = weights.squeeze(1)
    inputs = inputs.to(dtype)
    used = slots.unique().tolist()
    if len(used) == 1 and used[0] >= 0:  # no rows to pick
        return inputs @ weights[used[0]].to(dtype).T
    outputs = inputs.new_zeros((inputs.shape[0], weights.shape[1]))
    for slot in used:
        if slot >= 0:
            rows = (slots == slot).nonzero().squeeze(1)
            outputs[rows] = inputs[rows] @ weights[slot].to(dtype).T
    return outputs


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def _replace(module: ModuleType, name: str, function: Any) -> None:
    if hasattr(module, name):
        setattr(module, name, function)
