"""What the settings ask for is built, and what they ask for wrongly is named."""

from typing import Any

import pytest

from tame_router.config import Settings
from tame_router.errors import ConfigError, UnauthenticatedError
from tame_router.identity.authenticator import Insecure
from tame_router.identity.build import build_authenticator
from tame_router.identity.credentials import Credentials
from tame_router.identity.unknown import Unknown

ONE = {"issuer": "https://one.example", "audience": "tame"}


def test_insecure_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is asked, and the log says it."""
    settings = Settings.model_validate({"server": {"insecure": True}})
    assert isinstance(build_authenticator(settings, None), Insecure)
    assert [record.message for record in caplog.records] == ["server.insecure"]


@pytest.mark.anyio
async def test_without_tenants_nobody_gets_in() -> None:
    """A service that knows nobody lets nobody in; without a directory it is not built."""
    with pytest.raises(RuntimeError):
        build_authenticator(Settings(), None)
    authenticator = build_authenticator(Settings(), Unknown())
    with pytest.raises(UnauthenticatedError):
        await authenticator.authenticate(Credentials(authorization=("Bearer x",)))
    await authenticator.close()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (({**ONE, "issuer": "https://one.example x"},), "no space in it"),
        ((ONE, ONE), "two sections of the issuer"),
        (({**ONE, "jwks_url": "http://one.example/jwks"},), "expected jwks_url"),
        (({**ONE, "issuer": "accounts.example"},), "OpenID discovery"),
    ],
)
def test_an_issuer_that_cannot_be_asked_is_named(
    sections: tuple[dict[str, Any], ...], words: str
) -> None:
    """The start stops with the issuer and what to write."""
    settings = Settings.model_validate({"identity": {"jwt": sections}})
    with pytest.raises(ConfigError, match=words):
        build_authenticator(settings, Unknown())
