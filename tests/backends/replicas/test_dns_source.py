"""Replicas by a name."""

from collections.abc import Sequence

import pytest

from tame_router.backends.replicas.dns_source import DnsSource, SystemResolver
from tame_router.errors import BackendUnavailableError

pytestmark = pytest.mark.anyio


class Zone:
    """Answers for one name; an error instead where there is one."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses
        self.error: OSError | None = None
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[str]:
        """Answer."""
        self.asked.append(host)
        if self.error is not None:
            raise self.error
        return self.addresses


async def test_every_address_is_a_replica() -> None:
    """Scheme, port and path are the name's, the hosts are its addresses, in order, each once."""
    zone = Zone("10.0.0.10", "10.0.0.9", "fd00::2", "10.0.0.9")
    source = DnsSource("http://engines.internal:8100/v1/", zone)
    assert await source.addresses() == [
        "http://10.0.0.9:8100/v1",
        "http://10.0.0.10:8100/v1",
        "http://[fd00::2]:8100/v1",
    ]
    assert zone.asked == ["engines.internal"]


async def test_one_that_is_left_out_once_stays() -> None:
    """Two answers in a row must leave an address out; one of them may have been cut."""
    zone = Zone("10.0.0.1", "10.0.0.2")
    source = DnsSource("http://engines/v1", zone)
    both = await source.addresses()
    zone.addresses = ["10.0.0.2"]
    assert await source.addresses() == both
    assert await source.addresses() == ["http://10.0.0.2/v1"]


@pytest.mark.parametrize("error", [OSError("Name or service not known"), TimeoutError(), None])
async def test_dns_that_does_not_know(error: OSError | None) -> None:
    """No answer, or an empty one, is told as such; it is no list of nobody."""
    zone = Zone()
    zone.error = error
    source = DnsSource("http://engines/v1", zone)
    with pytest.raises(
        BackendUnavailableError, match="the replicas behind 'engines' are not known"
    ):
        await source.addresses()


async def test_the_system_is_asked() -> None:
    """A name of this machine is found as every program finds it."""
    found = await SystemResolver().resolve("localhost")
    assert set(found) & {"127.0.0.1", "::1"}
    with pytest.raises(BackendUnavailableError):
        await DnsSource(f"http://{'a' * 70}.invalid/v1").addresses()
