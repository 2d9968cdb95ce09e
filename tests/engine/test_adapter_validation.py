"""What validation takes, vLLM's own loader takes: names, ranks, kinds of numbers, variants."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tame_router.registry.validation.base_model import BaseModelShape
from tests.engine.conftest import real_settings
from tests.registry.validation.hostile_configurations import configured
from tests.registry.validation.upload import (
    Upload,
    base_model,
    fatal,
    name,
    numbers,
    small_tensors,
    small_upload,
)

# Runs in the engine's environment, which alone has vLLM. A line of output for each folder.
LOADER = """
import json, sys
from types import SimpleNamespace

import torch
from vllm.lora.lora_model import LoRAModel
from vllm.lora.peft_helper import PEFTHelper

expected = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
expected |= {"embed_tokens", "lm_head"}
for folder in sys.argv[1:]:
    try:
        helper = PEFTHelper.from_local_dir(folder, 8192)
        helper.validate_legal(SimpleNamespace(max_lora_rank=16))
        made = LoRAModel.from_local_checkpoint(
            folder, expected, helper, device="cpu", dtype=torch.bfloat16, model_vocab_size=32
        )
        told = {key: [lora.rank, lora.scaling] for key, lora in made.loras.items()}
    except Exception as error:
        told = str(error) or type(error).__name__
    print("loaded", json.dumps(told))
"""


def with_embeddings() -> Upload:
    """Adapt both embeddings besides."""
    prefix = "base_model.model."
    more = {
        f"{prefix}model.embed_tokens.lora_embedding_A": numbers(2, 32),
        f"{prefix}model.embed_tokens.lora_embedding_B": numbers(8, 2),
        f"{prefix}lm_head.lora_A.weight": numbers(2, 8),
        f"{prefix}lm_head.lora_B.weight": numbers(32, 2),
    }
    targets = ["q_proj", "v_proj", "down_proj", "embed_tokens", "lm_head"]
    return small_upload({**small_tensors(), **more}, {"target_modules": targets})


def with_patterns() -> Upload:
    """Give one module another rank and another alpha."""
    more = {
        name(1, "self_attn.q_proj", "lora_A.weight"): numbers(5, 8),
        name(1, "self_attn.q_proj", "lora_B.weight"): numbers(8, 5),
    }
    pattern = {
        "rank_pattern": {"layers.1.self_attn.q_proj": 5},
        "alpha_pattern": {"^model.layers.1.self_attn.q_proj": 20},
    }
    return small_upload({**small_tensors(), **more}, pattern)


TAKEN = {
    "plain": small_upload(),
    "BF16": small_upload(small_tensors("BF16")),
    "F16": small_upload(small_tensors("F16")),
    "rank-stabilised": configured(use_rslora=True),
    "patterns": with_patterns(),
    "embeddings": with_embeddings(),
    "an expression": configured(target_modules=".*_proj"),
    "eva": configured(init_lora_weights="eva"),
}
REFUSED = {
    "dora": configured(use_dora=True),
    "bias": configured(bias="all"),
    "a bias in B": configured(lora_bias=True),
    "pissa": configured(init_lora_weights="pissa_niter_4"),
    "rank": configured(r=17),
    "a pattern's rank": configured(rank_pattern={"x": 17}),
    "whole modules": configured(modules_to_save=["lm_head"]),
    "layers": configured(layer_replication=[[0, 1]]),
    "tokens": small_upload({**small_tensors(), "base_model.model.x.token_adapter": numbers(2)}),
    "another module": small_upload(
        {
            **small_tensors(),
            name(0, "mlp.router", "lora_A.weight"): numbers(2, 8),
            name(0, "mlp.router", "lora_B.weight"): numbers(8, 2),
        }
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModelShape:
    """Give a small base model."""
    return base_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Give vLLM all of them to load, and tell what it made of each."""
    folders: dict[str, Path] = {}
    for case, upload in {**TAKEN, **REFUSED}.items():
        folders[case] = tmp_path_factory.mktemp("adapter")
        for path, data in upload.files.items():
            (folders[case] / path).write_bytes(data)
    done = subprocess.run(
        [str(real_settings().engine.python), "-c", LOADER, *map(str, folders.values())],
        env={**os.environ, "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("loaded ")]
    assert len(lines) == len(folders), done.stderr
    return {
        case: json.loads(line.removeprefix("loaded "))
        for case, line in zip(folders, lines, strict=True)
    }


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken_loads(case: str, base: BaseModelShape, told: dict[str, object]) -> None:
    """The engine loads it, with a rank and a scale for each module that the upload adapts."""
    upload = TAKEN[case]
    assert fatal(upload.send(base)) == set()
    loaded = told[case]
    assert isinstance(loaded, dict), loaded
    assert len(loaded) >= 6


@pytest.mark.parametrize("case", REFUSED)
def test_what_vllm_refuses_is_refused(
    case: str, base: BaseModelShape, told: dict[str, object]
) -> None:
    """What the engine refuses is found here beforehand."""
    assert isinstance(told[case], str)
    assert fatal(REFUSED[case].send(base))


def test_patterns_mean_the_same(told: dict[str, object]) -> None:
    """The engine gives modules that patterns name the rank and scale reckoned with here."""
    loaded = told["patterns"]
    assert isinstance(loaded, dict)
    assert loaded["model.layers.1.self_attn.q_proj"] == [5, 4.0]
    assert loaded["model.layers.0.self_attn.q_proj"] == [2, 2.0]
