"""What checks an upload here: this service's rules, and the base model its engines serve."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tame_router.catalog.live import LiveCatalog
from tame_router.config import Settings
from tame_router.registry.request import Announcement
from tame_router.registry.validation.base_model import BaseModelShape, read_base_model
from tame_router.registry.validation.rules import make_rules
from tame_router.registry.validation.validation import Validation


class Checkers:
    """Makes what checks uploads.

    Args:
        settings: All settings: the registry's rules, and what engines take.
        base_models: Base model of each backend, by the backend's name.
        live: The experts.
        base_model_dir: Folder of the base model that adapters must fit; None: not known.
    """

    def __init__(
        self,
        settings: Settings,
        base_models: Mapping[str, str],
        live: LiveCatalog,
        base_model_dir: Path | None,
    ) -> None:
        self._live = live
        self._folder = base_model_dir
        self._base: BaseModelShape | None = None
        self._rules = make_rules(
            settings.registry,
            engine_rank=settings.engine.max_lora_rank,
            base_models=base_models.values(),
            backends=base_models,
        )

    def known(self, expert: str) -> bool:
        """Tell whether there is an expert of a name."""
        return expert in self._live.folders.experts

    async def warm(self) -> None:
        """Read the base model, once: its digest takes a second a gigabyte.

        Raises:
            ConfigError: When its folder cannot be read.
        """
        if self._base is None and self._folder is not None:
            self._base = await asyncio.to_thread(read_base_model, self._folder)

    def checker_for(self, announced: Announcement) -> Validation:
        """Make what checks an upload; `warm` comes before."""
        return Validation(
            self._rules,
            self._base,
            base_model_digest=announced.base_model_digest,
            new_expert=not self.known(announced.expert),
        )
