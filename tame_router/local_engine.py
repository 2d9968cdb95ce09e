"""The local engine as the settings describe it: its base model, its command line."""

from pathlib import Path

from tame_router.backends.engine.base_model import BaseModel, choose_base_model, cuda_present
from tame_router.backends.engine.number_type import number_type
from tame_router.backends.engine.plugin import AdapterStore
from tame_router.backends.engine.spec import EngineSpec
from tame_router.catalog.loader import load_catalog
from tame_router.config import Settings

CPU_CONTEXT = 2_048
"""Tokens; the embedded base model knows 8,192, and a CPU has no memory to spare."""

CUDA_CONTEXT = 8_192
"""Tokens; the context of Llama-3-Taiwan."""


def base_models(settings: Settings) -> dict[str, str]:
    """Give the name of the base model each backend serves."""
    local = engine_base_model(settings).served_name
    return {name: backend.base_model or local for name, backend in settings.backends.items()}


def engine_base_model(settings: Settings) -> BaseModel:
    """Give the base model of the local engine."""
    engine = settings.engine
    return choose_base_model(
        engine.base_model, engine.served_name, settings.state_dir, cuda=cuda_present()
    )


def base_model_dir(settings: Settings) -> Path | None:
    """Give the folder of the base model that adapters must fit; None: it is not on this disk."""
    if settings.registry.base_model_dir:
        return settings.registry.base_model_dir
    folder = Path(engine_base_model(settings).source)
    return folder if folder.is_dir() else None


def store_url(settings: Settings) -> str:
    """Tell where the bytes of adapters' revisions are kept, as `RevisionStore` takes it."""
    url = settings.registry.url or str(settings.state_dir / "registry")
    return url if "://" in url else str(Path(url).absolute())


def adapter_store(settings: Settings) -> AdapterStore:
    """Say where the local engine loads revisions from, and where it keeps copies."""
    engine = settings.engine
    return AdapterStore(
        url=store_url(settings),
        cache=settings.state_dir / "engine" / "adapters",
        cache_bytes=engine.adapter_cache_bytes,
        experts=engine.adapter_experts,
    )


def engine_spec(settings: Settings) -> EngineSpec:
    """Say how the local engine is to be started, with the experts' live adapters.

    Raises:
        CatalogError: When an expert cannot be served.
    """
    engine, cuda = settings.engine, cuda_present()
    base_model = engine_base_model(settings)
    experts = load_catalog(settings.experts_dir, base_models(settings)).experts.values()
    return EngineSpec(
        python=engine.python,
        base_model=base_model.source,
        served_name=base_model.served_name,
        adapters=tuple((e.live.name, e.live.folder) for e in experts if e.live and e.live.folder),
        adapter_store=adapter_store(settings),
        host=engine.host,
        port=engine.port,
        tensor_parallel_size=engine.tensor_parallel_size,
        max_model_len=engine.max_model_len or (CUDA_CONTEXT if cuda else CPU_CONTEXT),
        dtype=number_type(cuda=cuda),
        max_loras=engine.max_loras,
        max_lora_rank=engine.max_lora_rank,
        tool_call_parser=engine.tool_call_parser or base_model.tool_call_parser,
        chat_template=engine.chat_template or base_model.chat_template,
        otlp_endpoint=engine.otlp_endpoint,
        extra_args=engine.extra_args,
        device="cuda" if cuda else "cpu",
        state_dir=settings.state_dir,
        log_path=settings.state_dir / "engine" / "engine.log",
    )
