"""Fixtures for all tests: the asynchronous back-end, property-test profiles, fake servers."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.fakes.vllm import FakeVllm

pytest_plugins = (
    "tests.admin_fixture",
    "tests.database_fixture",
    "tests.redis_fixture",
    "tests.s3_fixture",
    "tests.router_fixture",
    "tests.replica_fixture",  # which imports it
    "tests.fallback_fixture",  # which imports both
    "tests.registry_fixture",  # which imports both
    "tests.school",
    "tests.joined_fixture",  # builds on those before it
)

# In CI the same examples are drawn every time: a red run says something about the change.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio only: gRPC's server knows no other."""
    return "asyncio"


@pytest.fixture(scope="session")
def _fake_vllm_server() -> Iterator[FakeVllm]:
    with FakeVllm() as fake:
        yield fake


@pytest.fixture
def fake_vllm(_fake_vllm_server: FakeVllm) -> Iterator[FakeVllm]:
    """Give a fake vLLM on a real port, without instructions; one server for the session."""
    _fake_vllm_server.reset()
    yield _fake_vllm_server
    _fake_vllm_server.reset()
