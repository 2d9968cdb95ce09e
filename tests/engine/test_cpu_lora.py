"""Adapters on a CPU: our operators in vLLM's place, and what callers see of it."""

import os
import subprocess
from collections.abc import AsyncIterator

import anyio
import pytest

from tame_router.backends.engine.base_model import cuda_present
from tame_router.backends.engine.state import EngineState
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.catalog.expert import Catalog
from tests.engine.conftest import EXPERTS, ROOT, real_settings
from tests.engine.life_site import PATIENCE_S
from tests.fakes.generations import generation, read, text_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(cuda_present(), reason="vLLM has operators of its own on a GPU"),
]

# Runs in the engine's environment, which alone has vLLM.
COMPARE = """
import torch
from vllm.lora.ops.torch_ops import lora_ops

NAMES = ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice")
theirs = {name: getattr(lora_ops, name) for name in NAMES}
from tame_router.vllm_plugin.cpu_lora import install

install()
from vllm.lora.punica_wrapper import punica_cpu

torch.manual_seed(1)
first, second = torch.randn(3, 1, 4, 24), torch.randn(3, 1, 32, 4)
for tokens in (1, 2, 33):
    for slots in (torch.randint(0, 3, (tokens,)), torch.full((tokens,), 2)):
        x = torch.randn(tokens, 24)
        told = []
        for ours in (False, True):
            shrink, expand, part = (
                getattr(punica_cpu, name) if ours else theirs[name] for name in NAMES
            )
            inner, whole = torch.zeros(tokens, 4), torch.ones(tokens, 32)
            sliced = torch.ones(tokens, 40)
            shrink(x, first, inner, slots, 0.5)
            expand(inner, second, whole, slots, True)
            part(inner, second, sliced, slots, 8, 32, True)
            told.append((inner, whole, sliced))
        for one, other in zip(*told):
            assert torch.allclose(one, other, atol=1e-5)
        slots[0] = -1
        whole = torch.ones(tokens, 32)
        punica_cpu.bgmv_expand(inner, second, whole, slots, True)
        assert (whole[0] == 1).all()
print("equal")
"""


@pytest.fixture
async def backend(engine: EngineState, engine_key: str) -> AsyncIterator[VllmBackend]:
    """Give a backend in front of the real vLLM."""
    patience = {"first_token_timeout_s": PATIENCE_S, "stall_timeout_s": PATIENCE_S}
    backend = VllmBackend(VllmSpec(base_url=engine.base_url, api_key=engine_key, **patience))  # type: ignore[arg-type]
    yield backend
    await backend.close()


def test_our_operators_compute_what_vllms_do() -> None:
    """The same for tokens that have an adapter, and nothing for those that have none."""
    done = subprocess.run(
        [str(real_settings().engine.python), "-c", COMPARE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"
    assert "stays" not in done.stderr


async def test_whoever_asks_beside_does_not_change_the_base_models_words(
    backend: VllmBackend, engine_catalog: Catalog
) -> None:
    """Every slot has an adapter, each of which answers at the same time: it says what it said."""
    texts: dict[str, str] = {}

    async def write(revision: str, note: str = "") -> None:
        asked = generation(
            text="What can I see in Tainan?", revision=revision, max_tokens=12, temperature=0.0
        )
        texts[revision + note] = text_of(await read(backend, asked))

    await write("", " alone")
    async with anyio.create_task_group() as group:
        for expert in EXPERTS:
            group.start_soon(write, engine_catalog.expert(expert).live_revision)
        group.start_soon(write, "")
    assert texts[""] == texts[" alone"]
    assert len(set(texts.values())) > 2
