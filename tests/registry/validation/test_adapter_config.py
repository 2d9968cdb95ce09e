"""Configurations that are taken, and what is read of them."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.registry.reason import Reason
from tame_router.registry.validation.adapter_config import AdapterConfig, read_adapter_config
from tests.registry.validation.upload import RULES, small_config

REFERENCE = Path(__file__).resolve().parents[3] / "adapters"
NAMES = frozenset({"tiny-llama"})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=6,
)


def read(**changed: object) -> AdapterConfig:
    """Read the small adapter's configuration, changed, which must be taken."""
    data = json.dumps(small_config(**changed)).encode()
    config = read_adapter_config(data, RULES, NAMES).config
    assert config is not None
    return config


@pytest.mark.parametrize("domain", ["legal", "medical", "electronics", "manufacturing"])
def test_reference_adapters(domain: str) -> None:
    """What PEFT wrote for the reference adapters is taken without a word."""
    data = (REFERENCE / domain / "adapter_config.json").read_bytes()
    seen = read_adapter_config(data, RULES, frozenset({"smollm2-135m-instruct"}))
    assert seen.findings == ()
    assert seen.config is not None
    assert (seen.config.rank, seen.config.alpha) == (4, 8)


def test_scales() -> None:
    """The scale is alpha by rank, or by its root; patterns count for the modules they match."""
    config = read(
        r=4,
        lora_alpha=8,
        rank_pattern={"q_proj": 16, "layers.1.self_attn.v_proj": 2},
        alpha_pattern={"^model.layers.0.self_attn.q_proj": 32},
    )
    assert config.rank_of("model.layers.0.self_attn.q_proj") == 16
    assert config.scale_of("model.layers.0.self_attn.q_proj") == 2
    assert config.scale_of("model.layers.1.self_attn.q_proj") == 0.5
    assert config.rank_of("model.layers.0.self_attn.v_proj") == 4
    assert config.rank_of("model.layers.1.self_attn.v_proj") == 2
    assert read(use_rslora=True, r=4, lora_alpha=8).scale_of("x") == 8 / math.sqrt(4)


def test_targets() -> None:
    """A list names the ends of modules; a regular expression is not run, and fits all."""
    config = read(target_modules=["q_proj", "mlp.up_proj"])
    assert config.targeted("model.layers.0.self_attn.q_proj")
    assert config.targeted("q_proj")
    assert not config.targeted("model.layers.0.eq_proj")
    assert not config.targeted("model.layers.0.up_proj")
    assert read(target_modules=r"(a+)+$").targeted("anything")


def test_variants_that_are_served() -> None:
    """DoRA is taken where the fleet serves it, rank-stabilised LoRA where it does."""
    data = json.dumps(small_config(use_dora=True)).encode()
    dora = replace(RULES, variants=frozenset({"dora"}))
    assert read_adapter_config(data, dora, NAMES).config is not None
    stable = json.dumps(small_config(use_rslora=True)).encode()
    (finding,) = read_adapter_config(stable, dora, NAMES).findings
    assert finding.reason is Reason.VARIANT_UNSUPPORTED


def test_any_base_model_where_none_is_known() -> None:
    """Without names to compare with, an adapter may be for any base model."""
    data = json.dumps(small_config(base_model_name_or_path="x/y")).encode()
    assert read_adapter_config(data, RULES, frozenset()).config is not None


def test_a_key_not_known_is_noted() -> None:
    """A setting of a PEFT to come is passed over, and said."""
    data = json.dumps(small_config(use_tomorrow=True, use_nothing=False)).encode()
    seen = read_adapter_config(data, RULES, NAMES)
    assert seen.config is not None
    (note,) = seen.findings
    assert not note.fatal
    assert "use_tomorrow" in note.message
    assert "use_nothing" not in note.message


@given(st.dictionaries(st.sampled_from(sorted(small_config())), VALUES, max_size=4))
def test_any_values(changed: dict[str, object]) -> None:
    """Whatever stands there, it is read or refused; what is read has a rank and a scale."""
    data = json.dumps({**small_config(), **changed}).encode()
    seen = read_adapter_config(data, RULES, NAMES)
    assert (seen.config is None) == any(finding.fatal for finding in seen.findings)
    if seen.config:
        assert 1 <= seen.config.rank_of("model.layers.0.self_attn.q_proj") <= RULES.max_rank
        assert seen.config.scale_of("model.layers.0.self_attn.q_proj") > 0


@given(st.binary(max_size=64))
def test_any_bytes(data: bytes) -> None:
    """Whatever the bytes, they are read or refused."""
    assert read_adapter_config(data, RULES, NAMES).findings
