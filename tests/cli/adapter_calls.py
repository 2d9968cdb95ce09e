"""What the tests of `tame adapter` share: findings of a gate, and calls that succeed."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tests.cli.conftest import Result

Adapter = Callable[..., Awaitable[Result]]
"""Runs `tame adapter` against a service of this process."""

WORSE = Finding(
    reason=Reason.WORSE_THAN_LIVE,
    message="scores 0.41, live 0.75",
    advice="train it longer | or on more",
)
NOTE = Finding(
    reason=Reason.CARD_MISSING,
    message="there is no card",
    advice="write one",
    path="README.md",
    fatal=False,
)


async def uploaded(adapter: Adapter, folder: str, card: str = "card") -> str:
    """Upload an adapter with a card of its own, and give the revision's name."""
    (Path(folder) / "README.md").write_text(card)
    done = await adapter("upload", folder, "--expert", "legal", "--json")
    assert done.code == 0
    return str(json.loads(done.out)["name"])


async def told(adapter: Adapter, *arguments: str) -> list[dict[str, Any]]:
    """Run a command that succeeds, and read the objects it writes."""
    done = await adapter(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return [json.loads(line) for line in done.out.splitlines()]
