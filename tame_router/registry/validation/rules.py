"""The rules that uploads are held to. Values only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tame_router.catalog.base_model_name import canonical_name
from tame_router.config_registry import RegistrySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an upload must keep.

    Attributes:
        max_file_bytes: Largest file.
        max_upload_bytes: Largest upload.
        max_rank: Largest rank of an adapter, ≥ 1.
        variants: Variants of LoRA that the engines serve: `dora`, `rslora`.
        require_base_model_digest: An upload must say the digest of its base model.
        base_models: Names, made canonical, of base models that adapters may be for; empty:
            any.
        backends: Base model of each backend that a new expert may name.
    """

    max_file_bytes: int
    max_upload_bytes: int
    max_rank: int
    variants: frozenset[str] = frozenset({"rslora"})
    require_base_model_digest: bool = False
    base_models: frozenset[str] = frozenset()
    backends: Mapping[str, str] = field(default_factory=dict)


def make_rules(
    settings: RegistrySettings,
    *,
    engine_rank: int,
    base_models: Iterable[str] = (),
    backends: Mapping[str, str] | None = None,
) -> Rules:
    """Make the rules of the settings.

    Args:
        settings: The registry's section.
        engine_rank: The engines' `max_lora_rank`, which counts where the section names none.
        base_models: Names under which the base model is known, as people write them; empty
            ones are passed over.
        backends: Base model of each backend, by the backend's name.
    """
    return Rules(
        max_file_bytes=settings.max_file_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        max_rank=settings.max_rank or engine_rank,
        variants=frozenset(settings.variants),
        require_base_model_digest=settings.require_base_model_digest,
        base_models=frozenset(canonical_name(name) for name in base_models if name),
        backends=backends or {},
    )
