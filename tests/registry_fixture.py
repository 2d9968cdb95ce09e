"""Fixtures for tests of adapters' lives: a router with a registry, adapters, what they say.

The experts have evaluation sets long enough for the gate. The fake vLLM loads revisions by
name, and each of them says its own name, so that a word from another one shows.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tame_router import app
from tame_router.client.adapter import UNDECIDED, Label, Revision, RevisionState
from tame_router.client.adapter_folder import read_folder
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.registry.manifest import FileEntry, make_manifest
from tame_router.trained_router import plan_lesson, train_router
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.registry.validation.upload import SHAPES, name, write_base_model
from tests.replica_fixture import HASTY
from tests.router_fixture import changed
from tests.small_experts import LINES, QUESTIONS, write_experts

REFRESH_S = 0.2
LEGAL = QUESTIONS["legal"][0]
LAYERS = 2
TIMES = 2
"""How often a revision says its name in one answer."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place for routers that share a store, and the servers behind them.

    Attributes:
        settings: Of a router there.
        fakes: The servers.
        folder: Where a test may write.
        own: What the expert `legal` answers with by its folder.
    """

    settings: Settings
    fakes: Sequence[FakeVllm]
    folder: Path
    own: str

    @property
    def store(self) -> Path:
        """Where revisions' bytes lie."""
        return self.settings.state_dir / "registry"

    def adapter(self, seed: int = 0, expert: str = "legal") -> Path:
        """Write an adapter's folder; equal seeds give equal bytes. Its name is known to the fakes.

        Args:
            seed: Of its numbers.
            expert: Whose revision it is to be.
        """
        folder = self.folder / f"adapter-{expert}-{seed}"
        if not folder.exists():
            write_adapter(folder, seed)
        self.teach(name_of(folder, expert))
        return folder

    def teach(self, *names: str) -> None:
        """Let the fakes say the names of revisions as their answers."""
        for fake in self.fakes:
            fake.texts |= {name: f"{name} " * TIMES for name in names}

    @asynccontextmanager
    async def running(
        self,
        settings: Settings | None = None,
        announce_http: Callable[[str], None] = lambda _: None,
    ) -> AsyncIterator[AsyncClient]:
        """Run a router, and give a client that does not try again."""
        async with (
            app.running(settings or self.settings, announce_http=announce_http) as address,
            AsyncClient(address, attempts=1) as client,
        ):
            yield client

    def changed(self, **registry: Any) -> Settings:
        """Give the settings with some values of the registry changed."""
        return changed(self.settings, registry=registry)


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write experts with evaluation sets, and train their router, once for all sites."""
    root = tmp_path_factory.mktemp("registry")
    write_experts(root)
    for expert in LINES:
        write_cases(root / "experts" / expert / "evaluation.jsonl", expert)
    write_base_model(root / "base")
    settings = _settings(root, root / "state", [])
    train_router(plan_lesson(settings, app.build_catalog(settings)), lambda _: None)
    return root


@pytest.fixture
def site(taught: Path, tmp_path: Path, fake_vllm: FakeVllm) -> Site:
    """Give a place of one server."""
    return _site(taught, tmp_path, [fake_vllm])


@pytest.fixture
def pool_site(taught: Path, tmp_path: Path, replicas: tuple[FakeVllm, ...]) -> Site:
    """Give a place of three replicas."""
    return _site(taught, tmp_path, replicas)


@pytest.fixture
async def registry_client(site: Site) -> AsyncIterator[AsyncClient]:
    """Give a client of a router with one server."""
    async with site.running() as client:
        yield client


def write_adapter(folder: Path, seed: int) -> Path:
    """Write a PEFT folder that fits the small base model."""
    folder.mkdir(parents=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": BASE_MODEL,
        "r": 2,
        "lora_alpha": 4,
        "bias": "none",
        "target_modules": sorted(module.rpartition(".")[2] for module in SHAPES),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "README.md").write_text(f"# 第 {seed} 版\n", encoding="utf-8")
    draw = np.random.default_rng(seed)
    tensors = {}
    for layer in range(LAYERS):
        for module, (inputs, outputs) in SHAPES.items():
            for part, shape in (("lora_A", (2, inputs)), ("lora_B", (outputs, 2))):
                drawn = draw.normal(0, 0.02, shape).astype(np.float32)
                tensors[name(layer, module, f"{part}.weight")] = drawn
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


def write_cases(path: Path, expert: str) -> None:
    """Write an evaluation set: a choice and a text about each teaching line."""
    chinese, english = (LINES[expert][language].strip().splitlines() for language in LINES[expert])
    cases: list[dict[str, object]] = []
    for number, (one, other) in enumerate(zip(chinese, english, strict=True)):
        choice = {"kind": "choice", "id": f"{expert}-c{number}", "lang": "zh-TW", "question": one}
        cases.append(
            {**choice, "choices": ["可以。", "不可以。", "要看情形。"], "answer": number % 3}
        )
        text = {"kind": "text", "id": f"{expert}-t{number}", "lang": "en", "question": other}
        cases.append({**text, "reference": f"It depends on {other.split()[-1]}"})
    lines = (json.dumps(case, ensure_ascii=False) for case in cases)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def name_of(folder: Path, expert: str = "legal") -> str:
    """Give the name that a folder's revision has, without asking anybody."""
    files = read_folder(folder).files
    entries = (FileEntry(path=f.path, size_bytes=f.size_bytes, sha256=f.sha256) for f in files)
    return make_manifest(entries).name(expert)


async def decided(client: AsyncClient, name: str) -> Revision:
    """Wait until validation and gate have ended, and give the revision with its report."""
    async with client.adapters.watch(name, after_sequence=0, timeout_s=30) as changes:
        async for change in changes:
            if change.state not in UNDECIDED:
                break
    return await client.adapters.get(name)


async def approved(client: AsyncClient, folder: Path, expert: str = "legal") -> str:
    """Upload a folder, wait for the gate, and give the name of the revision it let through."""
    revision = await client.adapters.upload(folder, expert)
    found = await decided(client, revision.name)
    assert found.state is RevisionState.APPROVED, found.findings
    return revision.name


async def states(client: AsyncClient, *names: str) -> list[RevisionState]:
    """Give where revisions stand."""
    return [(await client.adapters.get(name)).state for name in names]


async def label(client: AsyncClient, expert: str = "legal") -> Label:
    """Give an expert's label."""
    return (await client.adapters.history(expert)).label


async def answering(client: AsyncClient, **options: Any) -> str:
    """Ask a question, make sure that one revision alone answers, and give its name."""
    answer = await client.chat(LEGAL, expert="legal", **options)
    (expert,) = answer.experts
    assert set(answer.content.split()) == {expert.revision}
    return expert.revision


async def seen(client: AsyncClient, revision: str) -> None:
    """Ask until a router answers by a revision."""
    async with asyncio.timeout(10):
        while await answering(client) != revision:
            pass


def forget(site: Site, name: str) -> None:
    """Let servers forget a revision that the gate had loaded."""
    for fake in site.fakes:
        if name in fake.resolver.loaded:
            fake.resolver.loaded.remove(name)


def _site(taught: Path, folder: Path, fakes: Sequence[FakeVllm]) -> Site:
    state_dir = folder / "state"
    shutil.copytree(taught / "state", state_dir)
    settings = _settings(taught, state_dir, [fake.base_url for fake in fakes])
    catalog = app.build_catalog(settings)
    revisions = {expert: catalog.expert(expert).live_revision for expert in catalog.names}
    for fake in fakes:
        fake.adapters = tuple(filter(None, revisions.values()))
        fake.resolver.active = True
    made = Site(settings=settings, fakes=fakes, folder=folder, own=revisions["legal"])
    made.teach(made.own)
    return made


def _settings(root: Path, state_dir: Path, urls: Iterable[str]) -> Settings:
    several = list(urls)
    backend: dict[str, Any] = {"base_model": BASE_MODEL}
    if len(several) == 1:
        backend["base_url"] = several[0]
    elif several:
        backend |= {"base_urls": several, "replicas": HASTY}
    return Settings.model_validate(
        {
            "state_dir": state_dir,
            "experts_dir": root / "experts",
            "server": {"port": 0, "grace_s": 5, "insecure": True},
            "http": {"port": 0},
            "backends": {"local": backend},
            "log": {"format": "json"},
            "routing": {"encoder": {"enabled": False}},
            "registry": {
                "base_model_dir": root / "base",
                "refresh_s": REFRESH_S,
                "prepare_timeout_s": 10,
                # Times of a fake on a busy machine say nothing.
                "gate": {"latency_ratio": 1e6},
            },
        }
    )
