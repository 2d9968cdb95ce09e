"""Refusals that only HTTP knows: of a path, a method, a body that does not come."""

from collections.abc import Mapping

from tame_router.errors import InvalidRequestError


class HttpRefusalError(InvalidRequestError):
    """The request is refused for a reason that has a status of its own in HTTP.

    Args:
        message: What is wrong and what to send instead.
        status: The status, in [400, 499].
        word: OpenAI's `code`.
        headers: Further headers.
    """

    def __init__(
        self, message: str, *, status: int, word: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.word = word
        self.headers = dict(headers or {})
