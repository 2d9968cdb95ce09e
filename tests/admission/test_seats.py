"""Calls that stay open have so many places, and no more."""

from contextlib import ExitStack

import pytest

from tame_router.admission.seats import Seats
from tame_router.errors import OverloadedError


def test_a_tenant_has_so_many_places() -> None:
    """One more is refused until one is left; other tenants have their own."""
    seats = Seats("uploads", per_tenant=2, in_all=9)
    with seats.taken("acme"):
        with seats.taken("acme"):
            with pytest.raises(OverloadedError, match="2 uploads of tenant 'acme'") as caught:
                seats.taken("acme").__enter__()
            assert caught.value.retry_after_s
            with seats.taken("factory"):
                pass
        with seats.taken("acme"):
            pass


def test_a_router_has_so_many_places() -> None:
    """Whoever holds them; a place that was left by an error is free again."""
    seats = Seats("watches", per_tenant=2, in_all=3)
    with ExitStack() as stack:
        for tenant in ("a", "b", "c"):
            stack.enter_context(seats.taken(tenant))
        with pytest.raises(OverloadedError, match="3 watches are open"):
            seats.taken("d").__enter__()
    with pytest.raises(KeyError), seats.taken("d"):
        raise KeyError
    with ExitStack() as stack:
        for tenant in ("d", "d", "e"):
            stack.enter_context(seats.taken(tenant))
