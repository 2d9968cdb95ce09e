"""Replicas by a file: one address a line, or YAML; taken whole, or not at all."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from tame_router.backends.replicas.source import checked
from tame_router.errors import ConfigError

MOST_BYTES: Final = 2**20
"""Largest file that is read."""

_YAML: Final = frozenset({".yaml", ".yml"})
_KEY: Final = "base_urls"


class FileSource:
    """Reads a file, each time anew: it is small, and times of files lie.

    Args:
        path: The file; `.yaml` and `.yml` are YAML, all else is lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def addresses(self) -> Sequence[str]:
        """Give the addresses in the file's order; it is read in a thread.

        Raises:
            ConfigError: When it cannot be read, or is not what it should be.
        """
        text = await asyncio.to_thread(self._read)
        return parse_addresses(text, in_yaml=self._path.suffix in _YAML)

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                body = file.read(MOST_BYTES + 1)
            text = body.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigError(
                f"the file of replicas cannot be read ({why}); expected one address a line: the"
                " replicas there were are kept"
            ) from error
        if len(body) > MOST_BYTES:
            raise ConfigError(
                f"the file of replicas has more than {MOST_BYTES} bytes; expected one address a"
                " line: the replicas there were are kept"
            )
        return text


def parse_addresses(text: str, *, in_yaml: bool) -> tuple[str, ...]:
    """Read a file of replicas.

    Args:
        text: The whole of it. Of lines, what follows a `#` at a line's start, or after a space,
            is no address, nor is an empty line.
        in_yaml: It is YAML: a list of addresses, or a mapping with one as `base_urls`.

    Raises:
        ConfigError: When it is not that; what of it was right counts for nothing.
    """
    if not in_yaml:
        lines = (f" {line}".partition(" #")[0].strip() for line in text.splitlines())
        return checked([line for line in lines if line], "the file of replicas")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"the file of replicas is not YAML{at}; expected a list of addresses: the replicas"
            " there were are kept"
        ) from error
    if isinstance(document, dict) and set(document) == {_KEY}:
        document = document[_KEY]
    if not isinstance(document, list) or not all(isinstance(one, str) for one in document):
        raise ConfigError(
            f"the file of replicas holds no list of addresses; expected one, alone or as {_KEY!r}:"
            " the replicas there were are kept"
        )
    return checked(document, "the file of replicas")
