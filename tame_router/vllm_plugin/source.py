"""From the name in a request to a folder that vLLM may load, or to nothing.

A name becomes part of a path only after it was matched whole, and a folder is given only after
every byte in it was checked. Whatever goes wrong is written to the engine's log.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tame_router.errors import RevisionNotFoundError, TameError
from tame_router.errors_registry import CorruptRevisionError
from tame_router.registry.manifest import REVISION_NAME
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.vllm_plugin.cache import AdapterCache, Store
from tame_router.vllm_plugin.variables import Variables

NEEDED: Final = ("adapter_config.json", "adapter_model.safetensors")
"""vLLM takes weights of other kinds, pickles among them, where the second is missing."""

# Below vLLM's own logger, whose handlers write it where the rest of its log is.
_log: Final = logging.getLogger("vllm.tame_adapters")


class AdapterSource:
    """Gives folders of revisions. Threads may share it.

    Args:
        variables: Where revisions come from, and whose are given.
        connect: Makes the store, when it is first needed.
    """

    def __init__(
        self, variables: Variables, connect: Callable[[str], Store] = RevisionStore
    ) -> None:
        self._variables = variables
        self._connect = connect
        self._cache: AdapterCache | None = None
        self._connecting = threading.Lock()

    def folder(self, name: str) -> Path | None:
        """Give the folder of a revision's files; None: it is not to be loaded."""
        match = REVISION_NAME.fullmatch(name)
        if match is None:
            return None
        experts = self._variables.experts
        if experts and match["expert"] not in experts:
            _log.warning(
                "refused %s: this engine serves %s alone", name, ", ".join(sorted(experts))
            )
            return None
        try:
            found = self._copies().ensure(name)
        except CorruptRevisionError as error:
            _log.critical("ALARM: %s", error.message)
        except RevisionNotFoundError as error:
            _log.warning("refused %s: %s", name, error.message)
        except (TameError, OSError) as error:
            _log.error("cannot load %s: %s", name, error)
        else:
            if all((found / needed).is_file() for needed in NEEDED):
                return found
            _log.error("refused %s: it has not both of %s", name, " and ".join(NEEDED))
        return None

    def _copies(self) -> AdapterCache:
        with self._connecting:
            if self._cache is None:
                here = self._variables
                store = self._connect(here.store)
                self._cache = AdapterCache(here.cache.absolute(), here.cache_bytes, store)
            return self._cache
