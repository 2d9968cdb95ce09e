"""Which replica fits the others."""

import pytest

from tame_router.backends.replicas.identity import check_identity
from tame_router.backends.vllm.identity import ServerIdentity
from tame_router.errors import BackendProtocolError


def server(context_tokens: int | None = 8_192, base_model: str = "llama") -> ServerIdentity:
    """Give what a server says of itself."""
    return ServerIdentity(base_model=base_model, context_tokens=context_tokens)


def refused(own: ServerIdentity, *, ready: object = (), starting: object = ()) -> str:
    """Give the word for why a server is refused; empty: it is not."""
    try:
        check_identity(own, ready, starting)  # type: ignore[arg-type]
    except BackendProtocolError as error:
        return error.metadata["why"]
    return ""


def test_the_first_one_is_taken() -> None:
    """Where there is none to be held against, it is as it is."""
    assert refused(server()) == refused(server(None)) == ""


@pytest.mark.parametrize(
    ("own", "ready", "why"),
    [
        (server(4_096), [server(), server()], "short_context"),
        (server(16_384), [server(), server()], ""),
        (server(4_096), [server(), server(4_096)], ""),
        (server(None), [server()], ""),
        (server(), [server(None)], ""),
        (server(base_model="qwen"), [server()], "other_base_model"),
    ],
)
def test_one_that_joins(own: ServerIdentity, ready: list[ServerIdentity], why: str) -> None:
    """It is to serve what the others serve, and to read as much as the least of them."""
    assert refused(own, ready=ready, starting=[server(100)]) == why


@pytest.mark.parametrize(
    ("contexts", "taken"),
    [
        ((8_192, 8_192, 4_096), (8_192, 8_192)),
        ((4_096, 4_096, 8_192), (4_096, 4_096, 8_192)),
        ((4_096, 8_192), (8_192,)),
        ((None, 8_192), (None, 8_192)),
    ],
)
def test_those_that_start_together(
    contexts: tuple[int | None, ...], taken: tuple[int | None, ...]
) -> None:
    """The context is to be as long as most have it, in whatever order they are looked at."""
    servers = [server(one) for one in contexts]
    fit = [
        one.context_tokens
        for number, one in enumerate(servers)
        if not refused(one, starting=servers[:number] + servers[number + 1 :])
    ]
    assert tuple(fit) == taken
