"""What a vLLM needs to load adapters by name: our plugin on its path, and variables for it.

The plugin is laid beside the engine's state, as a link to this very package with the entry
point that vLLM looks for. So any interpreter that has vLLM can be used as it is, and router and
plugin are never of different versions. Elsewhere, in a container, `pip install --no-deps
tame-router` does the same.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tame_router

ENTRY_POINT: Final = "tame_adapters"
"""Of the group `vllm.general_plugins`; the same in pyproject.toml."""

ENTRY_POINT_VALUE: Final = "tame_router.vllm_plugin.resolver:register"
MIDDLEWARE: Final = "tame_router.vllm_plugin.middleware.ClosedLoraRoutes"

RESOLVERS_OF_VLLM: Final = frozenset(
    {"VLLM_LORA_RESOLVER_CACHE_DIR", "VLLM_LORA_RESOLVER_HF_REPO_LIST"}
)
"""Variables that switch vLLM's own resolvers on. One of them joins paths from names unchecked, the
other fetches what the hub has: neither knows digests."""

_PLUGINS: Final = "VLLM_PLUGINS"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterStore:
    """Where an engine gets adapters from.

    Attributes:
        url: Where revisions are kept: a folder, or `s3://bucket/prefix`.
        cache: Folder for local copies; engines may share it.
        cache_bytes: Most bytes of the copies.
        experts: Experts whose revisions are loaded; empty: all.
    """

    url: str
    cache: Path
    cache_bytes: int = 16 * 2**30
    experts: tuple[str, ...] = ()


def lay_out(folder: Path) -> None:
    """Make the folder that an engine's path begins with; one that is there is made new.

    Raises:
        OSError: When it cannot be written.
    """
    info = folder / f"tame_router-{tame_router.__version__}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    _write(info / "METADATA", f"Name: tame-router\nVersion: {tame_router.__version__}\n")
    _write(
        info / "entry_points.txt",
        f"[vllm.general_plugins]\n{ENTRY_POINT} = {ENTRY_POINT_VALUE}\n",
    )
    link, aside = folder / "tame_router", folder / f".tame_router.{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(Path(tame_router.__file__).resolve().parent, target_is_directory=True)
    aside.replace(link)


def variables(store: AdapterStore, plugin: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Give the engine's variables that make it load adapters by name.

    Args:
        store: Where from.
        plugin: What `lay_out` made.
        inherited: The environment of this process.
    """
    ours = {
        # vLLM asks a resolver only then. The routes that it opens too are closed by MIDDLEWARE.
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "TAME_ADAPTER_STORE": store.url,
        "TAME_ADAPTER_CACHE": str(store.cache.absolute()),
        "TAME_ADAPTER_CACHE_BYTES": str(store.cache_bytes),
        "TAME_ADAPTER_EXPERTS": ",".join(store.experts),
        "PYTHONPATH": str(plugin.absolute()),
    }
    if _PLUGINS in inherited:
        named = filter(None, inherited[_PLUGINS].split(","))
        ours[_PLUGINS] = ",".join(dict.fromkeys([*named, ENTRY_POINT]))
    return ours


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
