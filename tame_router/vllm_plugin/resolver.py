"""The resolver that vLLM asks for adapters it has not loaded, and what vLLM calls at its start."""

import asyncio
import os

from vllm.lora.request import LoRARequest
from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry
from vllm.platforms import current_platform

from tame_router.vllm_plugin.cpu_lora import install
from tame_router.vllm_plugin.source import AdapterSource
from tame_router.vllm_plugin.variables import read_variables

NAME = "tame_adapters"
"""Of the resolver, and of the entry point."""


class RevisionResolver(LoRAResolver):  # type: ignore[misc]  # vLLM is not installed here
    """Loads revisions by their names.

    Args:
        source: Where their folders come from.
    """

    def __init__(self, source: AdapterSource) -> None:
        self._source = source

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
        """Give what vLLM is to load; None: there is no such adapter for this engine."""
        folder = await asyncio.to_thread(self._source.folder, lora_name)
        if folder is None:
            return None
        # vLLM puts a number of its own in the place of this one.
        return LoRARequest(lora_name=lora_name, lora_int_id=1, lora_path=str(folder))


def register() -> None:
    """Register the resolver, and mend what a CPU computes; vLLM calls this in each process.

    Raises:
        ConfigError: When the environment says what cannot be.
    """
    if current_platform.is_cpu():
        install()
    variables = read_variables(os.environ)
    if variables.store:
        LoRAResolverRegistry.register_resolver(NAME, RevisionResolver(AdapterSource(variables)))
