"""The demo's tenant: made by the commands an operator uses, asked for at the end what it used."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape

NAME = "demo"


class Operator:
    """Runs commands of `tame`, and shows them.

    Args:
        console: Where they are shown.
        environment: `TAME_` variables for them.
    """

    def __init__(self, console: Console, environment: Mapping[str, str]) -> None:
        self._console = console
        self._environment = environment

    def run(self, *arguments: str, quiet: bool = False) -> str:
        """Run a command, show it and what it says, and give what it says.

        Args:
            arguments: The command's, without `tame`.
            quiet: Do not show what it says: it is secret.

        Raises:
            RuntimeError: When it fails.
        """
        self._console.print(f"[bold]$ tame {escape(' '.join(arguments))}[/]")
        done = subprocess.run(
            [sys.executable, "-m", "tame_router", *arguments],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"tame {arguments[0]} failed: {done.stderr.strip()}")
        if not quiet:
            self._console.print(f"[dim]{escape(done.stdout.rstrip())}[/]")
        return done.stdout

    def make_tenant(self) -> str:
        """Make the tenant, which may bring adapters for the legal expert, and give its key."""
        limits = ("--publish=legal", "--tokens-per-day=1000000")
        self.run("tenant", "create", NAME, "--grant=*", *limits)
        return self.run(
            "tenant", "key", "create", NAME, "--scopes=chat,publish", quiet=True
        ).strip()

    def account(self) -> str:
        """Show what the tenant used and that the records are whole; empty: they are."""
        self.run("tenant", "usage", NAME)
        try:
            self.run("audit", "verify")
        except RuntimeError as error:
            return str(error)
        return ""


def fresh_store(folder: Path) -> dict[str, str]:
    """Give the variable that names a store without anything in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("tame.db*"):
        file.unlink()
    return {"TAME_STORE__URL": f"sqlite:///{(folder / 'tame.db').resolve()}"}
