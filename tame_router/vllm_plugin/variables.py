"""What the plugin is told by the engine's environment. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tame_router.errors import ConfigError

STORE: Final = "TAME_ADAPTER_STORE"
CACHE: Final = "TAME_ADAPTER_CACHE"
CACHE_BYTES: Final = "TAME_ADAPTER_CACHE_BYTES"
EXPERTS: Final = "TAME_ADAPTER_EXPERTS"

DEFAULT_CACHE_BYTES: Final = 16 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The plugin's settings.

    Attributes:
        store: Where revisions are kept, as `RevisionStore` takes it; empty: nothing is loaded.
        cache: Folder of this machine's copies; engines may share it.
        cache_bytes: Most bytes of all copies, > 0.
        experts: Experts whose revisions are loaded; empty: all.
    """

    store: str
    cache: Path
    cache_bytes: int = DEFAULT_CACHE_BYTES
    experts: frozenset[str] = frozenset()


def read_variables(environment: Mapping[str, str]) -> Variables:
    """Read the settings.

    Raises:
        ConfigError: When a store is named and no cache, or the limit is no number of bytes.
    """
    store, cache = environment.get(STORE, ""), environment.get(CACHE, "")
    if store and not cache:
        raise ConfigError(f"{STORE} is set and {CACHE} is not; name a folder for local copies")
    limit = environment.get(CACHE_BYTES) or str(DEFAULT_CACHE_BYTES)
    if not (limit.isascii() and limit.isdigit() and int(limit)):
        raise ConfigError(f"{CACHE_BYTES}: {limit!r} is no number of bytes above 0")
    names = (name.strip() for name in environment.get(EXPERTS, "").split(","))
    return Variables(
        store=store,
        cache=Path(cache),
        cache_bytes=int(limit),
        experts=frozenset(filter(None, names)),
    )
