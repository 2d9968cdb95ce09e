"""What a request can hold."""

from collections.abc import Iterator
from contextlib import contextmanager

from tame_router.errors import InvalidRequestError


@contextmanager
def sendable(field: str) -> Iterator[None]:
    """Name the field of a value that no request can hold.

    A number can be too large for its type, and a text can hold half of a surrogate pair.

    Raises:
        InvalidRequestError: When the block raises ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise InvalidRequestError(f"{field} cannot be sent: {error}", field=field) from None
