"""All experts of a router: those of its operator, and those that uploads have made."""

from collections.abc import Mapping
from pathlib import Path

from tame_router.catalog.expert import Catalog
from tame_router.catalog.loader import expert_folders, load_catalog


def founded_dir(state_dir: Path) -> Path:
    """Give the folder of the experts that uploads have made; the registry writes them."""
    return state_dir / "experts"


def load_all(experts_dir: Path, founded: Path, base_models: Mapping[str, str]) -> Catalog:
    """Read all experts; of one name, the operator's counts.

    Args:
        experts_dir: The operator's folder of expert folders.
        founded: The folder of those that uploads have made; it need not be there.
        base_models: Base model that each backend serves, by the backend's name.

    Raises:
        CatalogError: When anything is wrong; the message lists every fault with its place.
    """
    own = load_catalog(experts_dir, base_models)
    if not expert_folders(founded):
        return own
    made = load_catalog(founded, base_models)
    return Catalog(dict(sorted({**made.experts, **own.experts}.items())))
