"""`adapter_config.json`: read, and held to what engines load and do as PEFT does. Pure.

vLLM reads few of its keys and passes over the others, also over those that change what the
adapter computes; so whatever is set and neither plain LoRA nor without effect is refused.

Source: vLLM 0.32, `lora/peft_helper.py`; PEFT 0.21, `tuners/lora/config.py`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tame_router.catalog.base_model_name import canonical_name
from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.validation.config_keys import (
    PLAIN_STARTS,
    READ,
    VARIANTS,
    WITHOUT_EFFECT,
)
from tame_router.registry.validation.file_rules import CONFIG, shown
from tame_router.registry.validation.rules import Rules
from tame_router.registry.validation.strict_json import read_json

MOST_ALPHA: Final = 65_536.0
"""Largest alpha; it is divided by the rank, and usual ones are 8 to 512."""

_MOST_TARGETS = 256
_MOST_PATTERNS = 1024
_LONGEST_TARGET = 256
# Engines take a pattern as a regular expression and match it with names that they are given;
# without a quantifier it cannot take exponential time.
_PATTERN = re.compile(r"\^?(?:[A-Za-z0-9_.-]|\\\.)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """What of a configuration the tensors are held to.

    Attributes:
        rank: Of modules that no pattern matches.
        alpha: Likewise.
        rank_pattern: Ranks by pattern; the first that matches counts.
        alpha_pattern: Alphas likewise.
        targets: Names that modules end with; empty: a regular expression chose them.
        rslora: The scale is alpha / √rank instead of alpha / rank.
        dora: Modules have a magnitude besides.
    """

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    targets: tuple[str, ...]
    rslora: bool
    dora: bool

    def rank_of(self, module: str) -> int:
        """Give the rank of a module."""
        return int(_matched(self.rank_pattern, module, self.rank))

    def scale_of(self, module: str) -> float:
        """Give what B·A is multiplied with."""
        rank = self.rank_of(module)
        alpha = _matched(self.alpha_pattern, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.rslora else rank)

    def targeted(self, module: str) -> bool:
        """Tell whether a module is among those that were to be adapted."""
        if not self.targets:
            return True
        return any(module == name or module.endswith(f".{name}") for name in self.targets)


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """A configuration that was read.

    Attributes:
        config: What it says; None: it cannot be used.
        findings: What is wrong with it, or worth knowing.
    """

    config: AdapterConfig | None
    findings: tuple[Finding, ...]


def read_adapter_config(data: bytes, rules: Rules, base_models: frozenset[str]) -> ReadConfig:
    """Read `adapter_config.json`.

    Args:
        data: Its bytes.
        rules: The limits.
        base_models: Canonical names of base models it may be for; empty: any.
    """
    try:
        document = read_json(data)
    except ValueError as error:
        message = f"{CONFIG} is not JSON: {str(error)[:200]}"
        return ReadConfig(None, (found(Reason.CONFIG_NOT_JSON, message, CONFIG),))
    if not isinstance(document, dict):
        message = f"{CONFIG} must hold a JSON object, not {type(document).__name__}"
        return ReadConfig(None, (found(Reason.CONFIG_MALFORMED, message, CONFIG),))
    findings = (
        *_check_kind(document, base_models),
        *_check_variants(document, rules),
        *_check_ranks(document, rules),
        *_check_alphas(document),
        *_check_targets(document),
        *_check_rest(document),
    )
    config = None if any(finding.fatal for finding in findings) else _made(document)
    return ReadConfig(config, findings)


def _made(document: Mapping[str, Any]) -> AdapterConfig:
    targets = document["target_modules"]
    return AdapterConfig(
        rank=document["r"],
        alpha=document["lora_alpha"],
        rank_pattern=document.get("rank_pattern") or {},
        alpha_pattern=document.get("alpha_pattern") or {},
        targets=() if isinstance(targets, str) else tuple(targets),
        rslora=document.get("use_rslora") is True,
        dora=document.get("use_dora") is True,
    )


def _fault(reason: Reason, message: str, *, fatal: bool = True) -> Finding:
    return found(reason, f"{CONFIG}: {message}", CONFIG, fatal=fatal)


def _value(value: object) -> str:
    return shown(str(value)[:100])


def _check_kind(document: Mapping[str, Any], base_models: frozenset[str]) -> Iterator[Finding]:
    kind, task = document.get("peft_type"), document.get("task_type")
    if kind != "LORA":
        yield _fault(Reason.PEFT_TYPE, f"peft_type is {_value(kind)}, not LORA")
    if task not in (None, "CAUSAL_LM"):
        message = f"task_type is {_value(task)}; experts write, which is CAUSAL_LM"
        yield _fault(Reason.VARIANT_UNSUPPORTED, message)
    named = document.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        message = "base_model_name_or_path does not say which base model it is for"
        yield _fault(Reason.BASE_MODEL_OTHER, message)
    elif base_models and canonical_name(named) not in base_models:
        message = f"it is for {_value(named)}; served is {' or '.join(sorted(base_models))}"
        yield _fault(Reason.BASE_MODEL_OTHER, message)


def _check_variants(document: Mapping[str, Any], rules: Rules) -> Iterator[Finding]:
    for key, variant in VARIANTS.items():
        if document.get(key):
            message = f"{key} is set: {variant} is not served"
            yield _fault(Reason.VARIANT_UNSUPPORTED, message)
    for key in ("use_dora", "use_rslora"):
        value, variant = document.get(key), key.removeprefix("use_")
        if value is not None and not isinstance(value, bool):
            yield _fault(Reason.CONFIG_MALFORMED, f"{key} is {_value(value)}, not true or false")
        elif value and variant not in rules.variants:
            yield _fault(Reason.VARIANT_UNSUPPORTED, f"{key} is set, and is not served")
    start = document.get("init_lora_weights", True)
    if isinstance(start, str) and start.lower() not in PLAIN_STARTS:
        message = f"init_lora_weights is {_value(start)}, which changes the base model's weights"
        yield _fault(Reason.VARIANT_UNSUPPORTED, message)


def _check_ranks(document: Mapping[str, Any], rules: Rules) -> Iterator[Finding]:
    for place, rank in _with_patterns(document, "r", "rank_pattern"):
        if type(rank) is not int or rank < 1:
            yield _fault(Reason.RANK_INVALID, f"{place} is {_value(rank)}")
        elif rank > rules.max_rank:
            message = f"{place} is {_value(rank)}; at most {rules.max_rank} is served"
            yield _fault(Reason.RANK_TOO_LARGE, message)
    yield from _check_patterns(document, "rank_pattern", Reason.RANK_INVALID)


def _check_alphas(document: Mapping[str, Any]) -> Iterator[Finding]:
    for place, alpha in _with_patterns(document, "lora_alpha", "alpha_pattern"):
        if type(alpha) not in (int, float) or not 0 < alpha <= MOST_ALPHA:
            yield _fault(Reason.ALPHA_INVALID, f"{place} is {_value(alpha)}")
    yield from _check_patterns(document, "alpha_pattern", Reason.ALPHA_INVALID)


def _with_patterns(
    document: Mapping[str, Any], key: str, pattern_key: str
) -> Iterator[tuple[str, Any]]:
    yield key, document.get(key)
    pattern = document.get(pattern_key)
    if isinstance(pattern, dict):
        for number, (name, value) in enumerate(pattern.items()):
            if number < _MOST_PATTERNS:
                yield f"{pattern_key}[{shown(name)}]", value


def _check_patterns(document: Mapping[str, Any], key: str, reason: Reason) -> Iterator[Finding]:
    pattern = document.get(key)
    if pattern is None:
        return
    if not isinstance(pattern, dict) or len(pattern) > _MOST_PATTERNS:
        message = f"{key} must be an object of at most {_MOST_PATTERNS:,} entries"
        yield _fault(Reason.CONFIG_MALFORMED, message)
        return
    for name in pattern:
        if len(name) > _LONGEST_TARGET or _PATTERN.fullmatch(name) is None:
            message = f"{key} has the pattern {shown(name)}; names of modules are taken"
            yield _fault(reason, message)


def _check_targets(document: Mapping[str, Any]) -> Iterator[Finding]:
    targets = document.get("target_modules")
    if isinstance(targets, str) and 0 < len(targets) <= _LONGEST_TARGET * 8:
        return
    good = (
        isinstance(targets, list)
        and 0 < len(targets) <= _MOST_TARGETS
        and all(isinstance(name, str) and 0 < len(name) <= _LONGEST_TARGET for name in targets)
    )
    if not good:
        message = f"target_modules must name modules, at most {_MOST_TARGETS}"
        yield _fault(Reason.TARGET_MODULES, message)


def _check_rest(document: Mapping[str, Any]) -> Iterator[Finding]:
    if document.get("modules_to_save"):
        message = f"modules_to_save is {_value(document['modules_to_save'])}"
        yield _fault(Reason.MODULES_TO_SAVE, message)
    if document.get("bias", "none") != "none":
        yield _fault(Reason.BIAS_UNSUPPORTED, f"bias is {_value(document['bias'])}, not none")
    known = READ | WITHOUT_EFFECT | VARIANTS.keys()
    unknown = [key for key in document if key not in known and document[key]]
    if unknown:
        message = f"not known here, and passed over: {', '.join(map(shown, unknown[:8]))}"
        yield _fault(Reason.VARIANT_UNSUPPORTED, message, fatal=False)


def _matched(pattern: Mapping[str, float], module: str, otherwise: float) -> float:
    for key, value in pattern.items():
        if _compiled(key).match(module):
            return value
    return otherwise


@lru_cache(maxsize=_MOST_PATTERNS)
def _compiled(key: str) -> re.Pattern[str]:
    return re.compile(rf"(.*\.)?({key})$")
