"""Backends and connections that are closed when a test ends, also when it fails."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tame_router.backends.litellm.backend import LitellmBackend, LitellmSpec
from tame_router.backends.openai.http_client import HttpClient
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tests.fakes.vllm import BASE_MODEL, FakeVllm

Make = Callable[..., LitellmBackend]


@pytest.fixture
async def connect(fake_vllm: FakeVllm) -> AsyncIterator[Callable[..., VllmBackend]]:
    """Give a maker of backends, by default of the fake server."""
    async with AsyncExitStack() as stack:

        def make(**fields: Any) -> VllmBackend:
            defaults = {"base_url": fake_vllm.base_url, "base_model": BASE_MODEL}
            backend = VllmBackend(VllmSpec(**{**defaults, **fields}))
            stack.push_async_callback(backend.close)
            return backend

        yield make


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., HttpClient]]:
    """Give a maker of HTTP clients."""
    async with AsyncExitStack() as stack:

        def make(base_url: str, **fields: Any) -> HttpClient:
            defaults = {"api_key": "", "connect_timeout_s": 5.0, "max_connections": 4}
            http = HttpClient(base_url=base_url, **{**defaults, **fields})
            stack.push_async_callback(http.close)
            return http

        yield make


@pytest.fixture
async def make(fake_vllm: FakeVllm) -> AsyncIterator[Make]:
    """Give a maker of backends of the fake server, asked as an OpenAI provider."""
    async with AsyncExitStack() as stack:

        def make(**fields: Any) -> LitellmBackend:
            defaults = {"base_model": f"openai/{BASE_MODEL}", "api_base": fake_vllm.base_url}
            backend = LitellmBackend(LitellmSpec(**{**defaults, **fields}))
            stack.push_async_callback(backend.close)
            return backend

        yield make
