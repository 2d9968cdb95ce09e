"""How the address of a caller is written into records."""

from typing import Any

import pytest

from tame_router.api.registry_servicer import peer


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("ipv4:192.0.2.7:41234", "192.0.2.7:41234"),
        ("ipv6:%5B2001:db8::7%5D:41234", "[2001:db8::7]:41234"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_is_written_as_people_do(told: str, expected: str) -> None:
    """Without gRPC's scheme and escapes."""

    class Told:
        """A call's context."""

        def peer(self) -> str:
            return told

    context: Any = Told()
    assert peer(context) == expected
