"""What tests of fallbacks share: a pool of two fakes, a server of its own, and a provider."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.replica_fixture import HASTY
from tests.router_fixture import changed

EVERY_STEP: tuple[Any, ...] = ("base_model", {"expert": "general"}, {"backend": "azure"})


@dataclass(frozen=True, slots=True)
class Servers:
    """A router's settings, and the fakes behind it.

    Attributes:
        settings: Experts are on the backend `local`, but for general, which is on `second`; the
            backend `azure` is a provider's, by way of LiteLLM.
        pool: The two replicas of `local`.
        second: The server of `second`, and of the provider: told apart by the model's name.
        grpc: Addresses of the routers that were started.
        http: The same of their HTTP ports.
    """

    settings: Settings
    pool: tuple[FakeVllm, FakeVllm]
    second: FakeVllm
    grpc: list[str] = field(default_factory=list)
    http: list[str] = field(default_factory=list)

    def kill(self) -> None:
        """Let the pool die."""
        for fake in self.pool:
            fake.kill()

    def forget(self) -> None:
        """Let the pool lose all adapters."""
        for fake in self.pool:
            fake.adapters = ()

    @asynccontextmanager
    async def asking(
        self, *steps: Any, sections: dict[str, Any] | None = None, **fallback: Any
    ) -> AsyncIterator[AsyncClient]:
        """Give a client, which does not try again, of a router with such a fallback."""
        settings = changed(self.settings, fallback={"steps": steps, **fallback}, **(sections or {}))
        async with (
            app.running(settings, announce_http=self.http.append) as address,
            AsyncClient(address, attempts=1) as client,
        ):
            self.grpc.append(address)
            yield client


@pytest.fixture
def servers(trained_settings: Settings, replicas: tuple[FakeVllm, ...], tmp_path: Path) -> Servers:
    """Give a pool of two, a server of its own and a provider."""
    first, other, second = replicas
    root = tmp_path / "catalog"
    shutil.copytree(trained_settings.experts_dir.parent, root, symlinks=True)
    card = root / trained_settings.experts_dir.name / "general/expert.yaml"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("backend: local", "backend: second"), encoding="utf-8")
    second.adapters = ("cloud",)
    second.texts = {BASE_MODEL: "由別人回答。", "cloud": "由外部回答。"}
    settings = changed(
        trained_settings,
        local={"base_urls": [first.base_url, other.base_url], "replicas": HASTY},
        backends={
            "second": {"base_url": second.base_url, "base_model": BASE_MODEL},
            "azure": {
                "kind": "litellm",
                "base_model": "openai/cloud",
                "api_base": second.base_url,
            },
        },
    )
    settings = settings.model_copy(update={"experts_dir": root / trained_settings.experts_dir.name})
    return Servers(settings, (first, other), second)
