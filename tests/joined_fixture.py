"""What tests of several experts share: some with words of their own, and the end of all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tame_router import app
from tame_router.catalog.expert import Catalog
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.router_fixture import changed, happened
from tests.small_experts import QUESTIONS

JOINS = ["panel", "second_opinion", "fuse", "vote", "best_of"]
LEGAL = QUESTIONS["legal"][0]
EXPERTS = ("legal", "medical", "electronics")
BOTH: dict[str, Any] = {"allow": ["legal", "medical"], "max_experts": 2}


@asynccontextmanager
async def asking(settings: Settings, **joins: Any) -> AsyncIterator[AsyncClient]:
    """Give a client of a router that does not wait long for one of several experts."""
    hasty = {"first_token_timeout_s": 1.0, "stall_timeout_s": 1.0, **joins}
    async with (
        app.running(changed(settings, joins=hasty)) as address,
        AsyncClient(address, attempts=1) as client,
    ):
        yield client


@pytest.fixture
def names(catalog: Catalog, fake_vllm: FakeVllm) -> dict[str, str]:
    """Give what the fake knows experts and the base model as, each with words of its own."""
    found = {name: catalog.expert(name).live_revision for name in EXPERTS}
    found["general"] = BASE_MODEL
    fake_vllm.texts = {
        found["legal"]: "依勞基法。",
        found["medical"]: "先冰敷。",
        found["electronics"]: "量電壓。",
        BASE_MODEL: "都要。",
    }
    return found


async def all_closed(fake: FakeVllm) -> None:
    """Make sure that no request is open at the fake any longer."""
    for chat in fake.chats:
        assert chat.ended.is_set() or await happened(chat.disconnected)
