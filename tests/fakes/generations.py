"""Generations for tests of backends."""

from typing import Any

from tame_router.backends.backend import Backend, Generation, Piece
from tame_router.chat import FinishReason, Message, Role, Sampling, Shape, Usage

REVISION = "legal--0123456789abcdef"


def generation(
    *,
    text: str = "加班費怎麼算？",
    revision: str = REVISION,
    deadline: float | None = None,
    strict: bool = False,
    request_id: str = "request-1",
    shape: Shape | None = None,
    **sampling: Any,
) -> Generation:
    """Ask one question."""
    return Generation(
        revision=revision,
        messages=(
            Message(role=Role.SYSTEM, content="Answer briefly."),
            Message(role=Role.USER, content=text),
        ),
        sampling=Sampling(**sampling),
        request_id=request_id,
        deadline=deadline,
        strict_max_tokens=strict,
        shape=shape or Shape(),
    )


def as_json(asked: Generation) -> list[dict[str, str]]:
    """Give its messages as they go over the wire."""
    return [{"role": str(one.role), "content": one.content} for one in asked.messages]


async def read(backend: Backend, asked: Generation) -> list[Piece]:
    """Read a whole answer."""
    async with backend.open(asked) as pieces:
        return [piece async for piece in pieces]


def text_of(pieces: list[Piece]) -> str:
    """Join the words of pieces."""
    return "".join(piece.text for piece in pieces)


def finish_of(pieces: list[Piece]) -> FinishReason:
    """Give the one reason that an answer ended with."""
    (reason,) = [piece.finish_reason for piece in pieces if piece.finish_reason]
    return reason


def usage_of(pieces: list[Piece]) -> Usage:
    """Give the one count of an answer."""
    (usage,) = [piece.usage for piece in pieces if piece.usage]
    return usage
