"""The token that a page of a list comes with, by which the next one is asked for."""

from tame_router.errors import InvalidRequestError


def read_token(token: str) -> int:
    """Read the token of a page.

    Raises:
        InvalidRequestError: When it is none.
    """
    if not (token.isascii() and token.isdigit() and len(token) < 19):
        raise InvalidRequestError(
            f"{token[:64]!r} is no token of a page; send the one that came with the page before,"
            " or none",
            field="page_token",
        )
    return int(token)
