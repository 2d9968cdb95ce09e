"""Places for calls that stay open: so many of a tenant, so many in all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tame_router.errors import OverloadedError

RETRY_AFTER_S = 5.0
"""When another try makes sense: such calls last."""


class Seats:
    """Places on this router, for one kind of call. Used on the event loop alone.

    Args:
        what: What is open, for messages: `uploads`.
        per_tenant: Places that one tenant may hold.
        in_all: Places there are.
    """

    def __init__(self, what: str, *, per_tenant: int, in_all: int) -> None:
        self._what = what
        self._per_tenant = per_tenant
        self._in_all = in_all
        self._held: Counter[str] = Counter()

    @contextmanager
    def taken(self, tenant: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            OverloadedError: When the tenant has all its places, or there is none left.
        """
        if self._held[tenant] >= self._per_tenant:
            raise OverloadedError(
                f"{self._held[tenant]} {self._what} of tenant {tenant!r} are open, as many as this"
                " router takes of one; end some, or try again later",
                retry_after_s=RETRY_AFTER_S,
            )
        if self._held.total() >= self._in_all:
            raise OverloadedError(
                f"{self._held.total()} {self._what} are open, as many as this router takes; try"
                " again later",
                retry_after_s=RETRY_AFTER_S,
            )
        self._held[tenant] += 1
        try:
            yield
        finally:
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]
