"""Uploads whose tensors do not fit, or whose numbers are wrong."""

from collections.abc import Callable

from tame_router.registry.reason import Reason
from tests.registry.validation.upload import (
    Tensors,
    Upload,
    name,
    numbers,
    small_tensors,
    small_upload,
)

Q = name(0, "self_attn.q_proj", "lora_A.weight")
Q_UP = name(0, "self_attn.q_proj", "lora_B.weight")


def without(path: str) -> Upload:
    """Leave a file out of the small upload."""
    upload = small_upload()
    del upload.files[path]
    return upload


def configured(**changed: object) -> Upload:
    """Change the small adapter's configuration."""
    return small_upload(config=changed)


def tensors_with(changed: Tensors) -> Upload:
    """Change, or add, tensors of the small adapter."""
    return small_upload(tensors={**small_tensors(), **changed})


def tensors_without(*keys: str) -> Upload:
    """Take tensors away."""
    return small_upload(tensors={k: v for k, v in small_tensors().items() if k not in keys})


def poisoned(value: float, dtype: str = "F32") -> Upload:
    """Put one number among those of a tensor."""
    kind, shape, data = small_tensors(dtype)[Q]
    one = numbers(1, value=value, dtype=dtype)[2]
    return small_upload(tensors={**small_tensors(dtype), Q: (kind, shape, data[: -len(one)] + one)})


def embedding(part: str, *shape: int) -> Upload:
    """Adapt the embedding."""
    targets = ["q_proj", "v_proj", "down_proj", "embed_tokens"]
    other = {"A": "B", "B": "A"}[part]
    names = {p: f"base_model.model.model.embed_tokens.lora_embedding_{p}" for p in "AB"}
    good = {"A": (2, 32), "B": (8, 2)}
    tensors = {names[part]: numbers(*shape), names[other]: numbers(*good[other])}
    return small_upload({**small_tensors(), **tensors}, {"target_modules": targets})


CASES: dict[str, tuple[Callable[[], Upload], Reason]] = {
    "a tensor of nothing known": (
        lambda: tensors_with({"evil": numbers(1)}),
        Reason.TENSOR_NAME,
    ),
    "a layer beyond the last": (
        lambda: tensors_with({name(9, "self_attn.q_proj", "lora_A.weight"): numbers(2, 8)}),
        Reason.TENSOR_NAME,
    ),
    "the base model's own weights": (
        lambda: tensors_with(
            {"base_model.model.model.embed_tokens.base_layer.weight": numbers(32, 8)}
        ),
        Reason.TENSOR_NAME,
    ),
    "a module not targeted": (
        lambda: tensors_with(
            {
                name(0, "self_attn.k_proj", "lora_A.weight"): numbers(2, 8),
                name(0, "self_attn.k_proj", "lora_B.weight"): numbers(4, 2),
            }
        ),
        Reason.TENSOR_NAME,
    ),
    "a magnitude without DoRA": (
        lambda: tensors_with({name(0, "self_attn.q_proj", "lora_magnitude_vector"): numbers(8)}),
        Reason.TENSOR_NAME,
    ),
    "an embedding's name elsewhere": (
        lambda: tensors_with({name(0, "self_attn.q_proj", "lora_embedding_A"): numbers(2, 8)}),
        Reason.TENSOR_NAME,
    ),
    "a target that is not there": (
        lambda: configured(target_modules=["q_proj", "v_proj", "down_proj", "query_key_value"]),
        Reason.TARGET_MODULES,
    ),
    "another rank than it says": (lambda: configured(r=4), Reason.TENSOR_SHAPE),
    "another base model's width": (lambda: tensors_with({Q: numbers(2, 9)}), Reason.TENSOR_SHAPE),
    "A the other way round": (lambda: tensors_with({Q: numbers(8, 2)}), Reason.TENSOR_SHAPE),
    "three dimensions": (lambda: tensors_with({Q: numbers(2, 8, 1)}), Reason.TENSOR_SHAPE),
    "an embedding of another vocabulary": (
        lambda: embedding("A", 2, 33),
        Reason.TENSOR_SHAPE,
    ),
    "A without B": (lambda: tensors_without(Q_UP), Reason.TENSOR_MISSING),
    "B without A": (lambda: tensors_without(Q), Reason.TENSOR_MISSING),
    "a target without tensors": (
        lambda: configured(target_modules=["q_proj", "v_proj", "down_proj", "k_proj"]),
        Reason.TENSOR_MISSING,
    ),
    "NaN": (lambda: poisoned(float("nan")), Reason.NOT_FINITE),
    "infinity": (lambda: poisoned(float("-inf")), Reason.NOT_FINITE),
    "NaN in BF16": (lambda: poisoned(float("nan"), "BF16"), Reason.NOT_FINITE),
    "NaN in F16": (lambda: poisoned(float("nan"), "F16"), Reason.NOT_FINITE),
    "infinity in F16": (lambda: poisoned(float("inf"), "F16"), Reason.NOT_FINITE),
    "1e30": (lambda: poisoned(1e30), Reason.NORM_ABSURD),
    "1e30 in BF16": (lambda: poisoned(1e30, "BF16"), Reason.NORM_ABSURD),
    "60,000 in F16": (lambda: poisoned(60_000, "F16"), Reason.NORM_ABSURD),
    "weights that drown the base model": (
        lambda: tensors_with({Q: numbers(2, 8, value=3), Q_UP: numbers(8, 2, value=3)}),
        Reason.NORM_ABSURD,
    ),
    "a scale that drowns it": (lambda: configured(lora_alpha=60_000), Reason.NORM_ABSURD),
    "zeros": (
        lambda: small_upload({k: numbers(*t[1], value=0) for k, t in small_tensors().items()}),
        Reason.ALL_ZERO,
    ),
}
"""By what is wrong: how it is made, and why it is refused."""
