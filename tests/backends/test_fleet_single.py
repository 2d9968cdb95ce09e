"""A fleet of servers that are alone: one vLLM, or a provider."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from tame_router.backends.backend import Backend
from tame_router.backends.fleet import Fleet
from tame_router.backends.litellm.backend import LitellmBackend
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.errors import UnsupportedError
from tame_router.errors_registry import RolloutError
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Refuse

pytestmark = pytest.mark.anyio

NEW: Final = "legal--00000000000000aa"


def soon() -> float:
    """Give a deadline that a busy machine keeps too."""
    return asyncio.get_running_loop().time() + 60


async def test_a_single_server(connect: Callable[..., VllmBackend], fake_vllm: FakeVllm) -> None:
    """One server is a fleet of one, whose refusal withdraws what was believed of it."""
    fake_vllm.resolver.active = True
    backends: Mapping[str, Backend] = {"local": connect()}
    fleet = Fleet(backends)
    fleet.desired({"local": frozenset({NEW})})
    assert not fleet.loaded("local", NEW)
    assert (await fleet.prepare("local", NEW, soon())).replicas == 1
    assert fleet.loaded("local", NEW)
    assert fleet.loaded("local", "")
    fake_vllm.faults[NEW] = Refuse(status=500)
    with pytest.raises(RolloutError, match="0 of 1 replicas"):
        await fleet.prepare("local", NEW, soon(), quorum=0.1)
    assert not fleet.loaded("local", NEW)


@pytest.mark.filterwarnings("ignore")  # LiteLLM warns about itself
async def test_a_provider_needs_a_name_for_each_revision(
    make: Callable[..., LitellmBackend], fake_vllm: FakeVllm
) -> None:
    """One name for all revisions cannot be published to; a name for each can."""
    fake_vllm.resolver.active = True
    fleet = Fleet({"one": make(), "each": make(revision_model="openai/{revision}")})
    with pytest.raises(UnsupportedError, match="revision_model"):
        await fleet.prepare("one", NEW, soon())
    assert fake_vllm.chats == []
    assert (await fleet.prepare("each", NEW, soon())).ready == 1
    assert fake_vllm.resolver.loaded == [NEW]
