"""A pipeline without an edge, in front of the fake vLLM."""

from collections.abc import AsyncIterator

import pytest

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.event import Event
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.single import SingleJoin
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.catalog.expert import Catalog
from tame_router.catalog.live import LiveCatalog
from tame_router.config import Settings
from tame_router.routing.router import Router
from tame_router.trained_router import build_router
from tests.fakes.vllm import BASE_MODEL, FakeVllm


class Events:
    """Takes events, as an edge would."""

    def __init__(self) -> None:
        self.seen: list[Event] = []

    async def emit(self, event: Event) -> None:
        """Take one."""
        self.seen.append(event)


@pytest.fixture
def events() -> Events:
    """Give a place for events."""
    return Events()


@pytest.fixture(scope="session")
def router(trained_settings: Settings, catalog: Catalog) -> Router:
    """Give the trained router."""
    return build_router(trained_settings, catalog)


@pytest.fixture
async def dispatch(settings: Settings, fake_vllm: FakeVllm) -> AsyncIterator[Dispatch]:
    """Give a way to every expert; `settings` has told the fake their adapters."""
    backend = VllmBackend(VllmSpec(base_url=fake_vllm.base_url, base_model=BASE_MODEL))
    yield Dispatch({"local": backend})
    await backend.close()


@pytest.fixture
def pipeline(catalog: Catalog, router: Router, dispatch: Dispatch) -> Pipeline:
    """Give the pipeline."""
    return Pipeline(LiveCatalog(catalog), router, SingleJoin(dispatch))
