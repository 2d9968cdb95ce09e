"""A place for routers whose adapters live on the real vLLM, and adapters to bring there.

Three of the real experts with their prompts and reference adapters; few teaching lines, and few
and short cases, because a CPU reads slowly.
"""

import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.pair import heldout_file, read_pairs
from tame_router import app
from tame_router.backends.engine.state import EngineState
from tame_router.catalog.evaluation import ChoiceCase, EvaluationCase, TextCase, read_evaluation
from tame_router.client.adapter import UNDECIDED, Revision
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.registry.examination_sets import FILE
from tame_router.trained_router import plan_lesson, train_router
from tests.engine.conftest import ROOT, real_settings
from tests.engine.harmed_adapter import scale_adapter
from tests.router_fixture import changed

PATIENCE_S = 500.0
"""For an answer, or a verdict: two cores that others use too."""

LINES = 40
"""Teaching lines of a language: who answers is said by the tests."""

CASES = {"legal": (5, 5), "medical": (2, 2), "general": (1, 0)}
"""The experts, and of each how many choices and how many free answers the gate asks. The latter
are pairs of the kind that the reference adapters were trained on."""

REFERENCE_CHARS = 48
"""Of a reference; each of its tokens is asked for by a prompt of its own."""

LENIENT = {"margin": 1.0, "harm_margin": 1.0, "simplified_share": 1.0}
"""Settings of a gate that refuses hardly anything."""


@dataclass(frozen=True, kw_only=True)
class EngineSite:
    """The place.

    Attributes:
        settings: Of a router there, with a gate as it is by default but for its length.
        folder: Where adapters are written.
        own: What the expert `legal` answers with by its folder.
    """

    settings: Settings
    folder: Path
    own: str

    def adapter(self, card: str, *, source: str = "legal", factor: float = 1.0) -> Path:
        """Write an adapter's folder.

        Args:
            card: Its card, which makes it another revision with the same weights.
            source: The reference adapter whose weights it has.
            factor: What those weights are multiplied with.
        """
        folder = self.folder / f"adapter-{len(list(self.folder.glob('adapter-*')))}"
        scale_adapter(ROOT / "adapters" / source, folder, "legal", factor)
        (folder / "README.md").write_text(f"# legal\n\n{card}\n", encoding="utf-8")
        return folder

    @asynccontextmanager
    async def running(self, **gate: Any) -> AsyncIterator[AsyncClient]:
        """Run a router with some values of the gate changed, and give a client of one try."""
        section = {**self.settings.registry.gate.model_dump(), **gate}
        settings = changed(self.settings, registry={"gate": section})
        async with (
            app.running(settings) as address,
            AsyncClient(address, attempts=1) as client,
        ):
            yield client


def teach(root: Path) -> Settings:
    """Write the experts below a folder and train their router; give settings without a backend."""
    (root / "adapters").symlink_to(ROOT / "adapters")
    for expert, (choices, texts) in CASES.items():
        source, target = ROOT / "experts" / expert, root / "experts" / expert
        target.mkdir(parents=True)
        for name in ("expert.yaml", "prompt.md"):
            shutil.copy(source / name, target)
        for file in source.glob("utterances.*.txt"):
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)[:LINES]
            (target / file.name).write_text("".join(lines), encoding="utf-8")
        _write(target / FILE, (*_choices(expert, choices), *_texts(expert, texts)))
    settings = changed(
        real_settings(),
        server={"port": 0, "grace_s": 20, "insecure": True},
        http={"port": 0},
        routing={"encoder": {"enabled": False}},
        registry={
            "prepare_timeout_s": PATIENCE_S,
            # Times of a machine that others use too say nothing.
            "gate": {"max_tokens": 8, "timeout_s": PATIENCE_S, "latency_ratio": 1e6},
        },
    )
    settings = settings.model_copy(
        update={"experts_dir": root / "experts", "state_dir": root / "state"}
    )
    train_router(plan_lesson(settings, app.build_catalog(settings)), lambda _: None)
    return settings


def before_engine(taught: Settings, engine: EngineState, key: str, folder: Path) -> EngineSite:
    """Give a place before a real vLLM, with the store that that loads from.

    Args:
        taught: What `teach` gave.
        engine: The vLLM.
        key: Its key.
        folder: Where the place may write; its own.
    """
    backend = {"base_url": engine.base_url, "api_key": key, "priorities": True}
    patience = {"first_token_timeout_s": PATIENCE_S, "stall_timeout_s": PATIENCE_S}
    state_dir = folder / "state"
    state_dir.mkdir()
    shutil.copytree(taught.state_dir / "router", state_dir / "router")
    settings = changed(
        taught.model_copy(update={"state_dir": state_dir}),
        local={**backend, **patience},
        registry={"url": str(Path(engine.log_path).parent / "store")},
    )
    own = app.build_catalog(settings).expert("legal").live_revision
    return EngineSite(settings=settings, folder=folder, own=own)


def choices_alone(settings: Settings, folder: Path) -> Settings:
    """Give settings of the same experts with ten choices for `legal` and nothing else to ask."""
    (folder / "adapters").symlink_to(ROOT / "adapters")
    shutil.copytree(settings.experts_dir, folder / "experts")
    for expert in CASES:
        _write(folder / "experts" / expert / FILE, _choices(expert, 10 if expert == "legal" else 1))
    return settings.model_copy(update={"experts_dir": folder / "experts"})


async def bring(client: AsyncClient, folder: Path, expert: str = "legal") -> Revision:
    """Upload an adapter, wait for the verdict, and give it with its report."""
    revision = await client.adapters.upload(folder, expert)
    async with client.adapters.watch(
        revision.name, after_sequence=0, timeout_s=PATIENCE_S
    ) as changes:
        async for change in changes:
            if change.state not in UNDECIDED:
                break
    return await client.adapters.get(revision.name)


def _choices(expert: str, count: int) -> list[EvaluationCase]:
    cases, _ = read_evaluation(ROOT / "experts" / expert / FILE)
    chosen = [case for case in cases if isinstance(case, ChoiceCase)][:count]
    # What a small base model gets right by chance is no duty.
    return [case.model_copy(update={"must_pass": False}) for case in chosen]


def _texts(expert: str, count: int) -> list[EvaluationCase]:
    pairs = [pair for pair in read_pairs(heldout_file(expert)) if pair.language == "en"]
    return [
        TextCase(
            id=pair.name,
            lang="en",
            kind="text",
            question=pair.question,
            reference=pair.answer[:REFERENCE_CHARS],
        )
        for pair in pairs[:count]
    ]


def _write(path: Path, cases: Iterable[EvaluationCase]) -> None:
    path.write_text("".join(case.model_dump_json() + "\n" for case in cases), encoding="utf-8")
