"""The tensors of an adapter against its configuration and its base model. Pure.

An engine looks at the last part of a module's name alone, and copies what fits: a tensor of a
layer that does not exist loads and does nothing, one of another rank is scaled wrongly.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.validation.adapter_config import AdapterConfig
from tame_router.registry.validation.base_model import BaseModelShape, ModuleShape
from tame_router.registry.validation.file_rules import CONFIG, WEIGHTS, shown
from tame_router.registry.validation.safetensors_header import TensorEntry

MOST_UPDATE: Final = 1.0
"""Largest root mean square of what an adapter adds to a base model's weights, whose own is
0.01 to 0.1, and trained adapters add 0.001 to 0.01; bounded from above by
scale · ‖B‖ · ‖A‖ / √(inputs · outputs)."""

_MOST_TOLD = 5
_PREFIX = "base_model.model."
_TENSOR = re.compile(
    r"base_model\.model\.(?P<module>[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)\."
    r"(?P<part>lora_[AB]\.weight|lora_embedding_[AB]|lora_magnitude_vector(?:\.weight)?)"
)
_A = ("lora_A.weight", "lora_embedding_A")
_B = ("lora_B.weight", "lora_embedding_B")


@dataclass(frozen=True, slots=True)
class _Part:
    module: str
    part: str
    entry: TensorEntry


def check_tensors(
    entries: Sequence[TensorEntry], config: AdapterConfig, base: BaseModelShape | None
) -> list[Finding]:
    """Hold names and shapes to the configuration and the base model.

    Args:
        entries: The tensors.
        config: What the configuration says.
        base: The base model; None, or one without modules: shapes are held to the rank alone.
    """
    modules = base.modules if base else {}
    parts: list[_Part] = []
    findings: list[Finding] = []
    for entry in entries:
        match = _TENSOR.fullmatch(entry.name)
        if match is None:
            findings.append(_named(f"{shown(entry.name)} is no tensor of a LoRA adapter"))
            continue
        part = _Part(match["module"], match["part"], entry)
        findings += _check_name(part, config, modules)
        parts.append(part)
    targets = list(_targets(config, modules))
    if not findings and not targets:
        findings += [f for part in parts for f in _check_shape(part, config, modules)]
        findings += _check_pairs(parts, config)
    return [*targets, *findings][:_MOST_TOLD]


def check_updates(
    entries: Sequence[TensorEntry], squares: Mapping[str, float], config: AdapterConfig
) -> list[Finding]:
    """Judge how much the adapter changes, when all numbers have come.

    Args:
        entries: Tensors that `check_tensors` found nothing wrong with.
        squares: Sum of squares of each, by name; all finite.
        config: What the configuration says.
    """
    found_parts = [(_TENSOR.fullmatch(entry.name), entry) for entry in entries]
    parts = [_Part(m["module"], m["part"], entry) for m, entry in found_parts if m]
    ups = {part.module: part.entry for part in parts if part.part in _B}
    if all(squares[entry.name] == 0 for entry in ups.values()):
        return [found(Reason.ALL_ZERO, "every B matrix is zero", WEIGHTS)]
    findings = []
    for part in parts:
        if part.part not in _A:
            continue
        up = ups[part.module]
        norms = math.sqrt(squares[part.entry.name]) * math.sqrt(squares[up.name])
        root = math.sqrt(part.entry.shape[1] * up.shape[0])
        update = config.scale_of(part.module) * norms / root
        if update > MOST_UPDATE:
            message = f"{part.module} is changed by up to {update:.4g} a weight (root mean square)"
            findings.append(
                found(Reason.NORM_ABSURD, f"{message}; at most {MOST_UPDATE:g}", WEIGHTS)
            )
    return findings[:_MOST_TOLD]


def _named(message: str) -> Finding:
    return found(Reason.TENSOR_NAME, message, WEIGHTS)


def _check_name(
    part: _Part, config: AdapterConfig, modules: Mapping[str, ModuleShape]
) -> Iterator[Finding]:
    module, name = part.module, shown(part.entry.name)
    if modules and module not in modules:
        yield _named(f"{name}: the base model has no module {shown(module)} that can be adapted")
    elif not config.targeted(module):
        yield _named(f"{name}: target_modules does not name {shown(module)}")
    elif part.part.startswith("lora_magnitude") and not config.dora:
        yield _named(f"{name} belongs to DoRA, and use_dora is not set")
    elif modules and not part.part.startswith("lora_magnitude"):
        embedding = part.part.startswith("lora_embedding")
        if embedding != modules[module].embedding:
            yield _named(f"{name} is named as those of {'an' if embedding else 'no'} embedding")


def _check_shape(
    part: _Part, config: AdapterConfig, modules: Mapping[str, ModuleShape]
) -> Iterator[Finding]:
    rank, shape = config.rank_of(part.module), part.entry.shape
    module = modules.get(part.module)
    expected: tuple[int | None, ...]
    if part.part in _A:
        expected = (rank, module.inputs if module else None)
    elif part.part in _B:
        expected = (module.outputs if module else None, rank)
    else:
        expected = (module.outputs if module else None,)
    fits = len(shape) == len(expected) and all(
        wanted in (None, seen) for wanted, seen in zip(expected, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in expected)
        message = f"{shown(part.entry.name)} has the shape {list(shape)}; it must be [{wanted}]"
        yield found(Reason.TENSOR_SHAPE, message, WEIGHTS)


def _check_pairs(parts: Sequence[_Part], config: AdapterConfig) -> Iterator[Finding]:
    ups = {part.module for part in parts if part.part in _B}
    downs = {part.module for part in parts if part.part in _A}
    for module in sorted(ups ^ downs):
        has, lacks = ("B", "A") if module in ups else ("A", "B")
        message = f"{shown(module)} has its {has} and no {lacks}"
        yield found(Reason.TENSOR_MISSING, message, WEIGHTS)
    if config.dora:
        scaled = {part.module for part in parts if part.part not in (*_A, *_B)}
        for module in sorted(scaled ^ downs):
            message = f"{shown(module)} has no magnitude, or nothing else"
            yield found(Reason.TENSOR_MISSING, message, WEIGHTS)
    for name in config.targets:
        if not any(module == name or module.endswith(f".{name}") for module in downs | ups):
            message = f"target_modules names {shown(name)}, and no tensor belongs to it"
            yield found(Reason.TENSOR_MISSING, message, WEIGHTS)


def _targets(config: AdapterConfig, modules: Mapping[str, ModuleShape]) -> Iterator[Finding]:
    for name in config.targets if modules else ():
        if not any(module == name or module.endswith(f".{name}") for module in modules):
            last = sorted({module.rpartition(".")[2] for module in modules})
            message = f"{CONFIG}: the base model has no {shown(name)}; it has {', '.join(last)}"
            yield found(Reason.TARGET_MODULES, message, CONFIG)
