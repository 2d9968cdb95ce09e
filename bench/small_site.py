"""A router of small experts in front of fake vLLM servers, in a folder of its own."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tame_router import app
from tame_router.config import Settings
from tame_router.telemetry import log
from tame_router.trained_router import plan_lesson, train_router
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace
from tests.small_experts import write_experts


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallSite:
    """What is ready to be run.

    Attributes:
        settings: Of the router, which is trained.
        fakes: The servers, which know all adapters.
    """

    settings: Settings
    fakes: list[FakeVllm]


@contextlib.contextmanager
def small_site(replicas: int, pace: Pace, backend: Mapping[str, Any]) -> Iterator[SmallSite]:
    """Set everything up; the servers stop, and the folder goes, at the end.

    Args:
        replicas: How many servers, ≥ 1.
        pace: How they write.
        backend: Settings of the backend beside its addresses.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root = Path(folder)
        fakes = [stack.enter_context(FakeVllm()) for _ in range(replicas)]
        local = {
            "base_model": BASE_MODEL,
            "base_urls": [fake.base_url for fake in fakes],
            **backend,
        }
        settings = Settings.model_validate(
            {
                "state_dir": root / "state",
                "experts_dir": write_experts(root),
                "server": {"port": 0, "insecure": True},
                "http": {"port": 0},
                "log": {"level": "error"},
                "backends": {"local": local},
            }
        )
        log.configure(settings.log)
        catalog = app.build_catalog(settings)
        train_router(plan_lesson(settings, catalog), lambda _: None)
        revisions = [catalog.expert(name).live_revision for name in catalog.names]
        for fake in fakes:
            fake.pace = pace
            fake.adapters = tuple(filter(None, revisions))
        yield SmallSite(settings=settings, fakes=fakes)
