"""The places for answers under way, so many in all."""

from tame_router.errors import OverloadedError


class Places:
    """A context that holds one of them, used many times.

    Args:
        most: How many there are.
    """

    __slots__ = ("_most", "_taken")

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def __enter__(self) -> None:
        """Take a place.

        Raises:
            OverloadedError: When there is none.
        """
        if self._taken >= self._most:
            raise OverloadedError(
                f"{self._taken} answers are under way, as many as this router takes;"
                " try again in a moment",
                retry_after_s=1,
            )
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._taken -= 1
