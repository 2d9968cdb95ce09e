"""LiteLLM itself: imported late, off the event loop, and kept quiet.

Its import takes seconds and some 150 MB, so nothing of it is touched until an answer is asked
of a provider that needs it. It reports nothing to anyone, fetches no price list, reads no
`.env` file and writes no log.
"""

import asyncio
import importlib
import logging
import os
import threading
import warnings
from importlib.util import find_spec
from typing import Any, Final

from tame_router.errors import ConfigError

_ENVIRONMENT: Final = {
    # Read when LiteLLM is imported, or later on the first call of a provider.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_MODE": "PRODUCTION",  # else it reads .env from the working directory
    "LITELLM_LOG": "CRITICAL",
}

_SETTINGS: Final[dict[str, object]] = {
    "telemetry": False,
    "suppress_debug_info": True,
    "turn_off_message_logging": True,
    "redact_messages_in_exceptions": True,
    "disable_streaming_logging": True,
    "disable_token_counter": True,  # usage is what the provider counted, or unknown
    "disable_hf_tokenizer_download": True,
    "num_retries": 0,
    "callbacks": [],
    "success_callback": [],
    "failure_callback": [],
    "input_callback": [],
    "service_callback": [],
}

_LOGGERS: Final = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_loading = threading.Lock()


def require_installed() -> None:
    """Check that LiteLLM can be imported, without doing so.

    Raises:
        ConfigError: When it is not installed.
    """
    if find_spec("litellm") is None:
        raise ConfigError(
            "a backend of kind litellm needs the package litellm, which is not installed;"
            " install it with `pip install 'tame-router[litellm]'`"
        )


async def litellm_library() -> Any:
    """Give the module `litellm`, imported in a worker thread on first use."""
    return await asyncio.to_thread(_load)


async def close_connections() -> None:
    """Close the connections LiteLLM keeps for this process, of all backends that use it."""
    library = await litellm_library()
    cleanup = importlib.import_module("litellm.llms.custom_httpx.async_client_cleanup")
    await cleanup.close_litellm_async_clients()
    # A closed client that stays in the cache would be handed out again.
    library.in_memory_llm_clients_cache.flush_cache()


def _load() -> Any:
    with _loading:
        for variable, value in _ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import litellm

            if getattr(litellm, "_tame_router_quiet", False):
                return litellm
            for name, setting in _SETTINGS.items():
                setattr(litellm, name, setting)
            for name in _LOGGERS:
                logger = logging.getLogger(name)
                logger.handlers.clear()
                logger.setLevel(logging.CRITICAL)
            _touch(litellm)
            litellm._tame_router_quiet = True
    return litellm


def _touch(library: Any) -> None:
    """Make one call without a provider: LiteLLM imports half of itself on the first one."""
    importlib.import_module("openai.resources.chat.completions")

    async def call() -> None:
        stream = await library.acompletion(
            model="openai/none",
            messages=[{"role": "user", "content": "-"}],
            stream=True,
            api_key="none",
            mock_response="-",
        )
        async for _ in stream:
            pass

    asyncio.run(call())
