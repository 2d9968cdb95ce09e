"""Build backends from their sections of the settings."""

from collections.abc import Mapping

from tame_router.backends.backend import Backend
from tame_router.backends.engine import ensure_key
from tame_router.backends.vllm import VllmBackend, VllmSpec
from tame_router.config import LitellmSettings, Settings, VllmSettings
from tame_router.config_file import secret


def build_backends(settings: Settings, base_models: Mapping[str, str]) -> dict[str, Backend]:
    """Build all backends.

    Args:
        settings: All settings.
        base_models: Base model that each backend serves, by the backend's name.

    Raises:
        ConfigError: When one cannot be used.
    """
    return {
        name: build_backend(
            section,
            base_models[name],
            _api_key(settings, section),
            local=_local(settings, section),
        )
        for name, section in settings.backends.items()
    }


def _api_key(settings: Settings, section: VllmSettings | LitellmSettings) -> str:
    """Give a backend's key; for the local engine, where none is set, the one it makes."""
    given = secret(section.api_key, section.api_key_file)
    if given or not _local(settings, section):
        return given
    return ensure_key(settings.state_dir)


def _local(settings: Settings, section: VllmSettings | LitellmSettings) -> bool:
    """Tell whether a backend is the local engine, by its address."""
    local = f"http://{settings.engine.host}:{settings.engine.port}/v1"
    return isinstance(section, VllmSettings) and section.base_url.rstrip("/") == local


def build_backend(
    settings: VllmSettings | LitellmSettings,
    base_model: str,
    api_key: str,
    *,
    local: bool = False,
) -> Backend:
    """Build a backend from its section.

    Args:
        settings: Its section.
        base_model: The base model it serves.
        api_key: Its key; empty: none.
        local: It is the engine that `tame engine start` runs, which goes by priorities.
    """
    if isinstance(settings, LitellmSettings):
        from tame_router.backends.litellm import LitellmBackend, LitellmSpec

        return LitellmBackend(
            LitellmSpec(
                base_model=base_model,
                revision_model=settings.revision_model,
                api_base=settings.api_base,
                api_key=api_key,
                context_tokens=settings.context_tokens,
                first_token_timeout_s=settings.first_token_timeout_s,
                stall_timeout_s=settings.stall_timeout_s,
            )
        )
    return VllmBackend(
        VllmSpec(
            base_url=settings.base_url,
            base_model=base_model,
            api_key=api_key,
            connect_timeout_s=settings.connect_timeout_s,
            first_token_timeout_s=settings.first_token_timeout_s,
            stall_timeout_s=settings.stall_timeout_s,
            max_connections=settings.max_connections,
            priorities=local if settings.priorities is None else settings.priorities,
        )
    )
