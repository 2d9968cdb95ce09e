"""Build backends from their sections of the settings."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from tame_router.backends.backend import Backend
from tame_router.backends.engine.process import ensure_key
from tame_router.backends.queueing.limit import LimitRules
from tame_router.backends.queueing.queued import QueuedBackend
from tame_router.backends.queueing.spec import QueueSpec, QueueWitness
from tame_router.backends.replicas.breaker import BreakerRules
from tame_router.backends.replicas.dns_source import DnsSource
from tame_router.backends.replicas.file_source import FileSource
from tame_router.backends.replicas.hedge import HedgeRules
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.pool_spec import PoolSpec, Witness
from tame_router.backends.replicas.replica import PREPARE_S
from tame_router.backends.replicas.source import Source
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.config import Settings
from tame_router.config_backends import (
    HedgeSettings,
    LitellmSettings,
    QueueSettings,
    VllmSettings,
)
from tame_router.config_file import secret
from tame_router.errors import ConfigError


def build_backends(
    settings: Settings, base_models: Mapping[str, str], witness: Witness | None = None
) -> dict[str, Backend]:
    """Build all backends.

    Args:
        settings: All settings.
        base_models: Base model that each backend serves, by the backend's name.
        witness: Is told what becomes of replicas.

    Raises:
        ConfigError: When one cannot be used.
    """
    return {
        name: build_backend(
            section,
            base_models[name],
            _api_key(settings, section),
            name=name,
            witness=witness,
            local=_local(settings, section),
            prepare_timeout_s=settings.registry.prepare_timeout_s,
        )
        for name, section in settings.backends.items()
    }


def _api_key(settings: Settings, section: VllmSettings | LitellmSettings) -> str:
    """Give a backend's key; for the local engine, where none is set, the one it makes."""
    given = secret(section.api_key, section.api_key_file)
    if given or not _local(settings, section):
        return given
    return ensure_key(settings.state_dir)


def queued_backends(
    settings: Settings, backends: Mapping[str, Backend], witness: QueueWitness | None = None
) -> dict[str, Backend]:
    """Give the backends as callers see them: with a queue before each, where it is wanted.

    Args:
        settings: All settings.
        backends: The backends themselves, which probes and examinations ask.
        witness: Is told what happens in queues.
    """
    return {
        name: queued(settings.backends[name].queue, backend, name, witness)
        for name, backend in backends.items()
    }


def queued(
    settings: QueueSettings, backend: Backend, name: str, witness: QueueWitness | None = None
) -> Backend:
    """Put a queue before a backend, where it is wanted.

    Args:
        settings: The section of its queue.
        backend: The backend.
        name: Its name, for metrics.
        witness: Is told what happens in the queue.
    """
    if not settings.enabled:
        return backend
    limit = settings.limit
    spec = QueueSpec(
        name=name,
        limit=LimitRules(start=limit.start, least=limit.min, most=limit.max, wait_s=limit.wait_s),
        length=settings.length,
        wait_s=settings.wait_s,
        weights=settings.weights,
    )
    made = QueuedBackend(backend, spec, witness)
    if isinstance(backend, ReplicaPool):
        backend.spare = lambda: made.places.spare
    return made


@asynccontextmanager
async def watching(backends: Mapping[str, Backend]) -> AsyncIterator[None]:
    """Keep looking after the replicas of all backends that have several."""
    pools = [backend for backend in backends.values() if isinstance(backend, ReplicaPool)]
    if not pools:
        yield
        return
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(pool.watch()) for pool in pools]
        try:
            yield
        except Exception as error:  # a group would wrap it, and hide what it is
            failure = error
        finally:
            for watcher in watchers:
                watcher.cancel()
    if failure is not None:
        raise failure


async def looked_at(backends: Mapping[str, Backend], within_s: float) -> None:
    """Wait until all replicas have been looked at, once: those that can answer are ready then.

    Args:
        backends: By name; they are being looked after.
        within_s: Longest wait; one that stands still is no reason to wait for ever.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            for backend in backends.values():
                if isinstance(backend, ReplicaPool):
                    group.create_task(backend.look())


def _local(settings: Settings, section: VllmSettings | LitellmSettings) -> bool:
    """Tell whether a backend is the local engine, by its address."""
    local = f"http://{settings.engine.host}:{settings.engine.port}/v1"
    if not isinstance(section, VllmSettings) or _source(section) is not None:
        return False
    return local in {url.rstrip("/") for url in section.base_urls or (section.base_url,)}


def build_backend(
    settings: VllmSettings | LitellmSettings,
    base_model: str,
    api_key: str,
    *,
    name: str = "",
    witness: Witness | None = None,
    local: bool = False,
    prepare_timeout_s: float = PREPARE_S,
) -> Backend:
    """Build a backend from its section.

    Args:
        settings: Its section.
        base_model: The base model it serves.
        api_key: Its key; empty: none.
        name: Its name, for log and metrics.
        witness: Is told what becomes of its replicas.
        local: It is the engine that `tame engine start` runs, which goes by priorities.
        prepare_timeout_s: Longest time that a replica may take to load one revision.

    Raises:
        ConfigError: When it cannot be used.
    """
    if isinstance(settings, LitellmSettings):
        from tame_router.backends.litellm.backend import LitellmBackend, LitellmSpec

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
    source = _source(settings)
    urls = () if source is not None else settings.base_urls or (settings.base_url,)
    # Of several servers not all are the local engine.
    by_priority = local and len(urls) == 1
    spec = VllmSpec(
        base_url=settings.base_url,
        base_model=base_model,
        api_key=api_key,
        connect_timeout_s=settings.connect_timeout_s,
        first_token_timeout_s=settings.first_token_timeout_s,
        stall_timeout_s=settings.stall_timeout_s,
        max_connections=settings.max_connections,
        priorities=by_priority if settings.priorities is None else settings.priorities,
    )
    if len(urls) == 1:
        return VllmBackend(replace(spec, base_url=urls[0]))
    if len({url.rstrip("/") for url in urls}) < len(urls):
        raise ConfigError(
            f"backends.{name}.base_urls names a replica twice; expected {len(urls)} different"
            " addresses"
        )
    rules = settings.replicas
    return ReplicaPool(
        PoolSpec(
            name=name,
            replicas=tuple(replace(spec, base_url=url) for url in urls),
            server=spec,
            source=source,
            refresh_interval_s=rules.refresh_interval_s,
            rules=BreakerRules(
                failures=rules.failures,
                cool_down_s=rules.cool_down_s,
                max_cool_down_s=rules.max_cool_down_s,
            ),
            retry_share=rules.retry_share,
            retry_burst=rules.retry_burst,
            most_failovers=rules.most_failovers,
            health_interval_s=rules.health_interval_s,
            metrics_interval_s=rules.metrics_interval_s,
            probe_timeout_s=rules.probe_timeout_s,
            prepare_timeout_s=prepare_timeout_s,
            resume_wait_s=rules.resume_wait_s,
            hedge=_hedge_rules(settings.hedge),
        ),
        witness,
    )


def _hedge_rules(settings: HedgeSettings) -> HedgeRules | None:
    if not settings.enabled:
        return None
    return HedgeRules(
        after_s=settings.after_s,
        quantile=settings.quantile,
        most_prompt_chars=settings.max_prompt_chars,
        share=settings.share,
        burst=settings.burst,
    )


def _source(settings: VllmSettings) -> Source | None:
    """Give what names a backend's replicas from time to time; None: the settings do."""
    if settings.base_url_dns:
        return DnsSource(settings.base_url_dns)
    if settings.base_urls_file is not None:
        return FileSource(settings.base_urls_file)
    return None
