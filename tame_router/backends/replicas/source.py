"""Where a pool's replicas come from, when it is not the settings that list them."""

from collections.abc import Sequence
from typing import Protocol

from tame_router.errors import ConfigError
from tame_router.host_port import address_fault

MOST_REPLICAS = 4_096
"""Replicas of one pool; more are taken for a mistake."""


class Source(Protocol):
    """Knows the addresses of replicas."""

    async def addresses(self) -> Sequence[str]:
        """Give the addresses as they are now, each once, at least one.

        Raises:
            TameError: When they cannot be told; what there was stays.
        """


def checked(addresses: Sequence[str], where: str) -> tuple[str, ...]:
    """Refuse a list of addresses that cannot be meant.

    Args:
        addresses: As they were written.
        where: Names the list, for the message.

    Raises:
        ConfigError: When there is none, one that is no address, one twice, or too many.
    """
    if not 0 < len(addresses) <= MOST_REPLICAS:
        raise ConfigError(
            f"{where} names {len(addresses)} replicas; expected 1 to {MOST_REPLICAS}: the replicas"
            " there were are kept"
        )
    clean = tuple(address.rstrip("/") for address in addresses)
    for address in clean:
        scheme, _, rest = address.partition("://")
        if scheme not in {"http", "https"} or not rest or not rest.isprintable() or " " in rest:
            raise ConfigError(
                f"{where} names {address[:80]!r}; expected addresses like"
                " http://10.0.0.1:8100/v1: the replicas there were are kept"
            )
        if fault := address_fault(address):
            raise ConfigError(
                f"{where} names {address[:80]!r}: {fault}; expected addresses like"
                " http://10.0.0.1:8100/v1: the replicas there were are kept"
            )
    if twice := {address for address in clean if clean.count(address) > 1}:
        raise ConfigError(
            f"{where} names {min(twice)[:80]!r} twice; expected each replica once: the replicas"
            " there were are kept"
        )
    return clean
