#!/usr/bin/env python3
"""The whole system at work: a real vLLM, the router before it, a tenant that asks it.

Ten questions go over gRPC with the tenant's key, one over the OpenAI API; an adapter is
brought, judged, published and taken back; then what the tenant used is shown, and the audit
records are verified.

    python deploy/local/demo.py

Exit codes: 0 every question was answered, as it was being written, by the adapter of the
expert it belongs to; 1 one was not (it is named), or something did not start; 130
interrupted. Whatever happens, nothing that was started is left running.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.local.demo_adapter import GATE, show_adapter_life
from deploy.local.demo_http import ask_over_http
from deploy.local.demo_questions import QUESTIONS, DemoQuestion
from deploy.local.demo_tenant import Operator, fresh_store
from deploy.local.router_process import Addresses, router
from tame_router import app
from tame_router.backends.engine.process import key_file, launch, stop, wait_ready
from tame_router.backends.engine.state import EngineState
from tame_router.catalog.expert import Catalog
from tame_router.chat import Sampling
from tame_router.client.client import Client
from tame_router.client.event import (
    DecisionMade,
    Delta,
    Event,
    ExpertFinish,
    ExpertStart,
)
from tame_router.config import Settings
from tame_router.config_file import load_settings
from tame_router.errors import TameError
from tame_router.local_engine import adapter_store, engine_spec, store_url

MAX_TOKENS = 64
"""Long enough to hear the expert, short enough for two cores."""

ANSWER_TIMEOUT_S = 120
BASE_MODEL = "base model"
FALLBACK = "general"
"""The one expert that answers by the base model."""

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of one question."""

    question: DemoQuestion
    expert: str = ""
    probability: float = 0.0
    revisions: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    first_s: float | None = None
    deltas: int = 0
    tokens: int = 0
    fault: str = ""

    @property
    def revision(self) -> str:
        """The lead's adapter revision; empty: the base model without adapter."""
        return self.revisions.get(self.expert, "")


def main() -> int:
    """Run the demo, and give its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    begun = time.monotonic()
    settings = load_settings()
    # A folder of its own: an engine that `make serve` left running is not disturbed.
    settings = settings.model_copy(update={"state_dir": settings.state_dir / "demo"})
    catalog = app.build_catalog(load_settings())
    try:
        store = fresh_store(settings.state_dir)
        operator = Operator(console, store)
        key = operator.make_tenant()
        with engine(settings) as state, running_router(settings, state, store) as addresses:
            console.print(
                f"[dim]router at {addresses.grpc}, HTTP at {addresses.http}"
                f" after {time.monotonic() - begun:.0f} s[/]\n"
            )
            with Client(addresses.grpc, api_key=key) as client:
                outcomes = [ask(client, question, catalog) for question in QUESTIONS]
                checks = {"the OpenAI API": ask_over_http(console, addresses.http, key)}
                partner = Operator(console, {**store, "TAME_API_KEY": key})
                checks["the life of an adapter"] = show_adapter_life(
                    console, partner, client, addresses.grpc, settings.state_dir
                )
        checks["the audit records"] = operator.account()
    except (TameError, RuntimeError) as error:
        console.print(f"[red]demo: {error}[/]")
        return 1
    except KeyboardInterrupt:
        return 130
    return summarise(outcomes, checks, time.monotonic() - begun)


@contextlib.contextmanager
def engine(settings: Settings) -> Iterator[EngineState]:
    """Run a vLLM with the experts' adapters on a free port."""
    spec = replace(
        engine_spec(load_settings()),
        adapter_store=adapter_store(settings),
        port=0,
        state_dir=settings.state_dir,
        log_path=settings.state_dir / "engine" / "engine.log",
    )
    console.print(f"[bold]vLLM[/] {spec.served_name} with {len(spec.adapters)} adapters")
    stop(settings.state_dir)  # what a demo that was killed has left
    try:
        state = launch(spec)
        last = ""

        def show(waited_s: float, step: str) -> None:
            nonlocal last
            if step != last:
                console.print(f"[dim]  {waited_s:3.0f} s  {step}[/]")
            last = step

        wait_ready(state, timeout_s=settings.engine.start_timeout_s, progress=show)
        yield state
    finally:
        stop(settings.state_dir)


@contextlib.contextmanager
def running_router(
    settings: Settings, state: EngineState, store: Mapping[str, str]
) -> Iterator[Addresses]:
    """Run the router before an engine, and give its addresses."""
    environment = {
        **store,
        **GATE,
        "TAME_REGISTRY__URL": store_url(settings),
        "TAME_BACKENDS__LOCAL__BASE_URL": state.base_url,
        "TAME_BACKENDS__LOCAL__API_KEY_FILE": str(key_file(settings.state_dir)),
        "TAME_LOG__FORMAT": "json",
    }
    with router(environment, settings.state_dir / "router.log") as addresses:
        yield addresses


def ask(client: Client, question: DemoQuestion, catalog: Catalog) -> Outcome:
    """Ask one question, and show what happens while it happens."""
    outcome = Outcome(question=question)
    for message in question.messages[:-1]:
        console.print(f"[dim]{message.role}: {message.content}[/]", markup=True)
    console.print(f"[bold]{question.messages[-1].content}[/]")
    begun = time.monotonic()
    sampling = Sampling(max_tokens=MAX_TOKENS, temperature=0.0)
    try:
        with client.stream(
            question.messages, sampling=sampling, timeout_s=ANSWER_TIMEOUT_S
        ) as events:
            for event in events:
                _show(outcome, event, time.monotonic() - begun)
    except TameError as error:
        outcome.fault = f"{error.reason}: {error.message}"
    outcome.fault = outcome.fault or _fault(outcome, catalog)
    console.print(f"\n[red]  {outcome.fault}[/]\n" if outcome.fault else "\n")
    return outcome


def _show(outcome: Outcome, event: Event, elapsed_s: float) -> None:
    """Show one event, and take note of it."""
    match event:
        case DecisionMade():
            outcome.expert = event.decision.expert
            outcome.probability = event.decision.experts[outcome.expert]
        case ExpertStart():
            outcome.revisions[event.expert] = event.revision
            probability = event.probability or outcome.probability
            console.print(
                f"{'' if len(outcome.revisions) == 1 else chr(10)}"
                f"  → [cyan]{event.expert}[/] {probability:.0%}"
                f" · {event.revision or BASE_MODEL}"
            )
        case Delta():
            if outcome.first_s is None:
                outcome.first_s = elapsed_s
                console.print(f"  [dim]{elapsed_s * 1e3:.0f} ms[/] ", end="")
            outcome.deltas += 1
            console.print(event.text, end="", markup=False)
        case ExpertFinish():
            outcome.tokens += event.usage.completion_tokens
            outcome.finished.add(event.expert)


def _fault(outcome: Outcome, catalog: Catalog) -> str:
    """Say what is missing of an answer streamed by the expert's own adapter; empty: nothing."""
    expected = " or ".join(sorted(outcome.question.experts))
    if outcome.expert not in outcome.question.experts:
        return f"went to {outcome.expert}, expected {expected}"
    if outcome.question.together and outcome.finished != outcome.question.experts:
        answered = ", ".join(sorted(outcome.finished)) or "nobody"
        return (
            f"was answered by {answered}, expected {' and '.join(sorted(outcome.question.experts))}"
        )
    for name, revision in outcome.revisions.items():
        if revision != catalog.expert(name).live_revision:
            return f"was answered by {revision or BASE_MODEL}, not by {name}'s live revision"
    live = catalog.expert(outcome.expert).live_revision
    if not live and outcome.expert != FALLBACK:
        return f"{outcome.expert} has no adapter for this base model: it is no expert of it"
    if outcome.deltas < 2:
        return f"came in {outcome.deltas} pieces: it was not streamed"
    return ""


def summarise(outcomes: list[Outcome], checks: Mapping[str, str], elapsed_s: float) -> int:
    """Show the table and the checks, and give the exit code."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("", "question", "expert"):
        table.add_column(heading)
    table.add_column("p", justify="right")
    table.add_column("revision", no_wrap=True)
    for heading in ("first token", "tokens"):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        first = "–" if outcome.first_s is None else f"{outcome.first_s * 1e3:.0f} ms"
        table.add_row(
            "[red]✗[/]" if outcome.fault else "[green]✓[/]",
            outcome.question.title,
            ", ".join(outcome.revisions) or outcome.expert,
            f"{outcome.probability:.2f}",
            outcome.revision or BASE_MODEL,
            first,
            str(outcome.tokens),
        )
    console.print(table)
    faults = [o for o in outcomes if o.fault]
    for outcome in faults:
        console.print(f"[red]✗ {outcome.question.title}: {outcome.fault}[/]")
    for name, fault in checks.items():
        console.print(f"[red]✗ {name}: {fault}[/]" if fault else f"[green]✓[/]  {name}")
    answered = len(outcomes) - len(faults)
    console.print(f"\n{answered} of {len(outcomes)} answered, {elapsed_s:.0f} s in all")
    return 1 if faults or any(checks.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
