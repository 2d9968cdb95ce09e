"""An adapter's life: brought, judged beside the live one, published, asked, and taken back."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.local.demo_tenant import Operator
from tame_router.chat import Sampling
from tame_router.client.client import Client

EXPERT = "legal"
QUESTION = "租約到期搬走了，房東一直不退押金，我可以怎麼做？"
GATE = {
    "TAME_REGISTRY__GATE__MOST_CASES": "10",
    "TAME_REGISTRY__GATE__MOST_OTHER_CASES": "3",
    "TAME_REGISTRY__GATE__MAX_TOKENS": "16",
}
"""A gate of fewer and shorter questions than by default: two cores are to be done in a minute."""

_CARD = "\n這一版的權重不變，只有這張卡片改了。\n"


def show_adapter_life(
    console: Console, operator: Operator, client: Client, address: str, state_dir: Path
) -> str:
    """Bring a copy of an adapter with another card, and show what becomes of it.

    Args:
        console: Where it is shown.
        operator: Runs commands, with a key that may publish.
        client: Asks, as a caller.
        address: Of the router.
        state_dir: Folder where the copy is made.

    Returns:
        What is wrong; empty: nothing.
    """
    server = f"--server={address}"
    before = _answering(client)
    told = operator.run(
        "adapter",
        "upload",
        str(_copy(state_dir)),
        f"--expert={EXPERT}",
        "--json",
        server,
        quiet=True,
    )
    revision = json.loads(told)
    _show_report(console, revision)
    if revision["state"] != "approved":
        return f"{revision['name']} is {revision['state']}, expected approved"
    operator.run("adapter", "publish", revision["name"], server)
    published = _answering(client)
    console.print(f"  asked now: {published} answers")
    begun = time.monotonic()
    operator.run("adapter", "rollback", EXPERT, server)
    restored = _answering(client)
    took_s = time.monotonic() - begun
    console.print(f"  asked now: {restored} answers, {took_s:.1f} s after the command began\n")
    if published != revision["name"]:
        return f"{published} answered, expected {revision['name']}"
    return "" if restored == before else f"{restored} answered, expected {before}"


def _copy(state_dir: Path) -> Path:
    """Copy the expert's reference adapter, and change its card."""
    source = Path(__file__).resolve().parents[2] / "adapters" / EXPERT
    target = state_dir / "adapter"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    with (target / "README.md").open("a", encoding="utf-8") as card:
        card.write(_CARD)
    return target


def _answering(client: Client) -> str:
    """Ask, and give the name of the revision that answers."""
    answer = client.chat(QUESTION, expert=EXPERT, sampling=Sampling(max_tokens=8, temperature=0.0))
    return answer.experts[0].revision


def _show_report(console: Console, revision: dict[str, Any]) -> None:
    """Show what the gate found, a line for each comparison."""
    report = revision["report"]
    console.print(
        f"  {revision['name']} is {revision['state']}: {len(report['cases'])} questions to it and"
        f" to {report['live']} took {report['elapsed_s']:.0f} s"
    )
    for one in report["comparisons"]:
        console.print(
            f"[dim]  {one['expert']:<14} {one['measure']:<6} {one['candidate']:.3f} against"
            f" {one['live']:.3f}: {one['verdict'].replace('_', ' ')}[/]"
        )
