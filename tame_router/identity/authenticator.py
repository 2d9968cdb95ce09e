"""The seam where credentials become a principal."""

from typing import Protocol

from tame_router.identity.credentials import Credentials
from tame_router.identity.principal import ANYONE, Principal

NOT_KNOWN = (
    "no valid API key, client certificate or token came with this call; send"
    " `authorization: Bearer <key>`, or ask the operator whether yours still counts"
)
"""Says the same whatever was wrong."""


class Authenticator(Protocol):
    """Finds out who calls."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Tell who calls.

        Raises:
            UnauthenticatedError: When nobody can tell; the message is the same whatever was
                wrong, so that it helps nobody to guess.
            StoreUnavailableError: When it cannot be looked up now.
        """

    async def close(self) -> None:
        """Let go of what is held."""


class Insecure:
    """Asks nobody who they are."""

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Take everyone for the same."""
        return ANYONE

    async def close(self) -> None:
        """Hold nothing."""
