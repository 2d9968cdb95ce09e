"""The measurement on a GPU: what it makes, what it counts, and what it says where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from bench.gpu import many_adapters
from bench.gpu.load import Endpoint, Figures, load
from bench.gpu.shape import DUMMY, SHAPES, write_adapter, write_base
from tame_router.backends.engine.base_model import cuda_present
from tame_router.client.adapter_folder import read_folder
from tame_router.registry.manifest import FileEntry
from tame_router.registry.validation.base_model import read_base_model
from tame_router.registry.validation.rules import Rules
from tame_router.registry.validation.validation import Validation
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace, Refuse

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "bench/gpu/many_adapters.py"
RULES = Rules(max_file_bytes=2**30, max_upload_bytes=2**30, max_rank=16)
RANK = 16


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """Give a folder with what is taken of the embedded base model."""
    folder = tmp_path / "embedded"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_text(name, encoding="utf-8")
    known = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "vocab_size": 49_152}
    config = json.dumps({**known, "hidden_size": 576})
    (folder / "config.json").write_text(config, encoding="utf-8")
    return folder


def test_the_shape_is_that_of_llama_3_8b(tmp_path: Path, embedded: Path) -> None:
    """Sizes are the published ones; tokenizer, vocabulary and special tokens the embedded ones."""
    folder = write_base(tmp_path / "base", SHAPES["llama-3-8b"], embedded)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    sizes = {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 14336,
        "vocab_size": 49_152,
        "eos_token_id": 2,
    }
    assert {name: config[name] for name in sizes} == sizes
    assert (folder / "tokenizer.json").read_text(encoding="utf-8") == "tokenizer.json"


def test_what_is_made_is_an_adapter(tmp_path: Path, embedded: Path) -> None:
    """The registry finds nothing wrong with it, and no projection is left as it is."""
    shape = SHAPES["tiny"]
    base = read_base_model(write_base(tmp_path / DUMMY, shape, embedded))
    folder = write_adapter(tmp_path / "one", shape, rank=RANK, seed=1)
    read = read_folder(folder)
    check = Validation(RULES, base)
    findings = check.announced(
        "legal",
        [FileEntry(path=f.path, size_bytes=f.size_bytes, sha256=f.sha256) for f in read.files],
    )
    for file in read.files:
        findings += check.feed(file.path, (folder / file.path).read_bytes())
    assert [*findings, *check.finished()] == []
    weights = load_file(folder / "adapter_model.safetensors")
    assert len(weights) == shape.layers * len(shape.modules) * 2
    assert all(tensor.any() for tensor in weights.values())


def test_another_seed_makes_another_adapter(tmp_path: Path) -> None:
    """No two of the adapters are the same, and one is made twice alike."""
    made = [
        write_adapter(tmp_path / name, SHAPES["tiny"], rank=RANK, seed=seed)
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    ]
    one, again, other = (read_folder(folder).files for folder in made)
    assert one == again
    assert one != other


@pytest.mark.anyio
async def test_what_a_load_counts(fake_vllm: FakeVllm) -> None:
    """Every answer is counted once, with its tokens; one that fails is told and not measured."""
    fake_vllm.pace = Pace(token_s=0.001, answer_tokens=8)
    fake_vllm.api_key = "key"
    ask = {"model": BASE_MODEL, "messages": [{"role": "user", "content": "hello"}]}
    endpoint = Endpoint(url=fake_vllm.base_url, key="key")
    figures = await load(endpoint, [ask] * 10, 4)
    assert (figures.answers, figures.failed, figures.tokens) == (10, 0, 80)
    assert figures.prompt_tokens > 0
    assert figures.tokens_s > 0
    assert 0 < (figures.ttft_ms_p50 or 0) <= (figures.ttft_ms_p99 or 0)
    assert 0 < (figures.gap_ms_p50 or 0) <= (figures.gap_ms_p99 or 0)
    fake_vllm.always = Refuse(status=503)
    refused = await load(endpoint, [ask] * 3, 4)
    assert (refused.answers, refused.failed, refused.ttft_ms_p50) == (0, 3, None)


def test_the_table_has_a_row_of_each_load() -> None:
    """What was not measured is a dash, and all is told in the JSON too."""
    figures = Figures(
        answers=4,
        failed=0,
        tokens=64,
        prompt_tokens=30.5,
        tokens_s=1234.5,
        ttft_ms_p50=10.0,
        ttft_ms_p99=12.0,
        gap_ms_p50=None,
        gap_ms_p99=None,
    )
    row = many_adapters.Row(adapters=4, asked="one adapter", streams=64, figures=figures)
    _, rule, line = many_adapters.table([row]).splitlines()
    assert rule.count("|") == line.count("|")
    assert line == "| 4 | one adapter | 64 | 4 | 0 | 1,234.5 | 10.0 | 12.0 | – | – | 30.5 |"


@pytest.mark.skipif(cuda_present(), reason="there is a GPU to measure on")
def test_without_a_gpu_it_says_so() -> None:
    """Nothing is measured, that is said, and programs can read it; the command succeeds."""
    told = subprocess.run(
        [sys.executable, COMMAND, "--json"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    first, last = told.stdout.splitlines()
    assert first.startswith("not measured: no GPU here")
    assert json.loads(last) == {"skipped": "no CUDA device"}


def test_it_says_how_it_is_used() -> None:
    """By its path, from the repository's root, it finds what it needs."""
    told = subprocess.run(
        [sys.executable, COMMAND, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("usage: ")
