"""The catalog as it is now: read by everything that answers, swapped whole by the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tame_router.catalog.expert import Canary, Catalog
from tame_router.catalog.revision import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What an expert's label says.

    Attributes:
        live: The revision that answers; None: the base model without adapter.
        canary: The one that is tried on a share of the conversations; None: there is none.
    """

    live: Revision | None
    canary: Canary | None = None


class LiveCatalog:
    """Holds the experts as they are now. Whoever answers takes `current` once, and keeps it.

    Args:
        folders: The experts as their folders describe them.

    Attributes:
        current: The experts as they are now.
    """

    __slots__ = ("_folders", "_pointers", "current")

    def __init__(self, folders: Catalog) -> None:
        self._folders = folders
        self._pointers: Mapping[str, Pointer] = {}
        self.current = folders

    @property
    def folders(self) -> Catalog:
        """The experts as their folders describe them."""
        return self._folders

    def point(self, pointers: Mapping[str, Pointer]) -> None:
        """Let other revisions answer from the next question on.

        Args:
            pointers: What labels say, by expert. An expert without one answers as its folder
                says; a pointer to an expert that is not here is passed over.
        """
        self._pointers = dict(pointers)
        self._swap()

    def describe(self, folders: Catalog) -> None:
        """Take other experts, or other words of the same; their labels stay."""
        self._folders = folders
        self._swap()

    def _swap(self) -> None:
        experts = dict(self._folders.experts)
        for name, pointer in self._pointers.items():
            if name in experts:
                experts[name] = replace(experts[name], live=pointer.live, canary=pointer.canary)
        self.current = Catalog(experts)
