"""A real vLLM with dummy weights and random adapters, and a router in front of it."""

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from bench.gpu.load import Endpoint
from bench.gpu.shape import SHAPES, write_adapter, write_base
from bench.overhead import ROOT, child
from tame_router import app
from tame_router.backends.engine.process import key_file, launch, stop, wait_ready
from tame_router.backends.engine.spec import EngineSpec
from tame_router.catalog.expert import Catalog
from tame_router.config import Settings
from tame_router.config_file import load_settings
from tame_router.trained_router import plan_lesson, train_router
from tests.fakes.vllm import BASE_MODEL
from tests.small_experts import QUESTIONS, write_experts

CONTEXT_TOKENS: Final = 2_048
START_S: Final = 1_200.0
"""Longest start of an engine: a GPU's first one compiles kernels."""

DUMMY_WEIGHTS: Final = (
    *("--load-format", "dummy", "--generation-config", "vllm"),
    # The same questions are asked more than once: who asked first would pay for all.
    "--no-enable-prefix-caching",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    Attributes:
        shape: Name of the base model's shape.
        device: Where vLLM computes.
        rank: Rank of the adapters, one that vLLM takes.
        most_adapters: Adapters that are made.
        tokens: Tokens of an answer.
    """

    shape: str
    device: Literal["cpu", "cuda"]
    rank: int
    most_adapters: int
    tokens: int


class Site:
    """A folder with the base model, the adapters and small experts, whose router is trained.

    The first adapters have the names of the experts' revisions, so that the router asks for them.

    Args:
        folder: An empty folder of its own.
        plan: What is run.

    Attributes:
        names: Names of the adapters.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._engine_settings = load_settings().engine
        shape = SHAPES[plan.shape]
        embedded = ROOT / ".tame/base_models" / BASE_MODEL
        self._base = write_base(folder / "base", shape, embedded)
        self._settings = Settings.model_validate(
            {
                "state_dir": folder / "state",
                "experts_dir": write_experts(folder),
                "server": {"port": 0, "insecure": True},
                "http": {"port": 0},
                "log": {"level": "error"},
                "routing": {"encoder": {"enabled": False}},
                "backends": {"local": {"base_model": BASE_MODEL}},
            }
        )
        self._catalog: Catalog = app.build_catalog(self._settings)
        train_router(plan_lesson(self._settings, self._catalog), lambda _: None)
        experts = (self._catalog.expert(name) for name in self._catalog.names)
        self._revisions = [name for name in (one.live_revision for one in experts) if name]
        further = (f"random--{number:016x}" for number in range(plan.most_adapters))
        self.names = list(
            itertools.islice(itertools.chain(self._revisions, further), plan.most_adapters)
        )
        self._adapters = [
            (name, write_adapter(folder / "random" / name, shape, rank=plan.rank, seed=seed))
            for seed, name in enumerate(self.names)
        ]

    @property
    def routable(self) -> bool:
        """Whether there is an adapter for each expert that a router may choose."""
        return len(self.names) >= len(self._revisions)

    @contextmanager
    def engine(self, adapters: int) -> Iterator[Endpoint]:
        """Run an engine with so many of the adapters; 0: without LoRA at all."""
        folder = self._folder / f"engine-{adapters}"
        without = () if adapters else ("--no-enable-lora",)
        spec = EngineSpec(
            python=ROOT / self._engine_settings.python,
            base_model=str(self._base),
            served_name=BASE_MODEL,
            adapters=tuple(self._adapters[:adapters]),
            max_model_len=CONTEXT_TOKENS,
            max_loras=max(adapters, 1),
            max_lora_rank=self._plan.rank,
            extra_args=(*DUMMY_WEIGHTS, *without),
            device=self._plan.device,
            state_dir=folder,
            log_path=folder / "engine.log",
        )
        try:
            state = launch(spec)
            wait_ready(state, timeout_s=START_S)
            key = key_file(folder).read_text(encoding="ascii").strip()
            yield Endpoint(url=state.base_url, key=key)
        finally:
            stop(folder)

    @contextmanager
    def router(self, engine: Endpoint) -> Iterator[Endpoint]:
        """Run a router in front of an engine, as a process of its own."""
        document = self._settings.model_dump(mode="json")
        document["backends"] = {
            "local": {"base_url": engine.url, "base_model": BASE_MODEL, "api_key": engine.key}
        }
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            file = folder / "tame.yaml"
            file.touch(mode=0o600)
            file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
            serve = ["tame_router", "serve", "--config", str(file)]
            router = stack.enter_context(child(serve, {}, "serving on ", "serving HTTP on "))
            yield Endpoint(url=f"http://{router.http}/v1")

    def asks(self, names: Sequence[str], count: int) -> list[dict[str, Any]]:
        """Give requests to the engine, the adapters in turn.

        Args:
            names: Adapters, or the base model's name.
            count: How many.
        """
        questions = itertools.cycle(text for texts in QUESTIONS.values() for text in texts)
        turns = zip(itertools.cycle(names), questions, range(count), strict=False)
        return [
            self._body(name, [{"role": "user", "content": f"{question} ({number})"}], number)
            for name, question, number in turns
        ]

    def asks_of_experts(self, count: int, *, routed: bool) -> list[dict[str, Any]]:
        """Give requests that the router decides about, or the same as it would send them."""
        questions = itertools.cycle(
            (name, text) for name, texts in QUESTIONS.items() for text in texts
        )
        asks = []
        for number, (name, question) in zip(range(count), questions, strict=False):
            expert = self._catalog.expert(name)
            user = {"role": "user", "content": f"{question} ({number})"}
            system = {"role": "system", "content": expert.prompt.strip()}
            if routed:
                asks.append(self._body("tame-auto", [user], number))
            else:
                stop = {"stop": list(expert.sampling.stop)} if expert.sampling.stop else {}
                named = expert.live_revision or BASE_MODEL
                asks.append(self._body(named, [system, user], number, stop))
        return asks

    def _body(
        self,
        name: str,
        messages: Sequence[Mapping[str, str]],
        seed: int,
        more: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        # Dummy weights say the same token again and again unless tokens are drawn.
        return {
            "model": name,
            "messages": list(messages),
            "max_tokens": self._plan.tokens,
            "temperature": 1.0,
            "top_p": 1.0,
            "seed": seed,
            **(more or {}),
        }
