"""Whether a replica fits the others of its pool. Pure."""

from collections.abc import Sequence
from statistics import median_high
from typing import Final

from tame_router.backends.vllm.identity import ServerIdentity
from tame_router.errors import BackendProtocolError

OTHER_BASE_MODEL: Final = "other_base_model"
SHORT_CONTEXT: Final = "short_context"


def check_identity(
    own: ServerIdentity, ready: Sequence[ServerIdentity], starting: Sequence[ServerIdentity]
) -> None:
    """Make sure that a replica serves what the others do, and reads no less.

    One that joins is held against those that get answers already. Where none does, those that
    start together are held against each other: the context is to be as long as most have it.

    Args:
        own: The replica.
        ready: Others, that get answers.
        starting: Others, that do not yet, and have said what they are.

    Raises:
        BackendProtocolError: When it does not; the metadata says `why` in a word.
    """
    others = {one.base_model for one in ready}
    if others and own.base_model not in others:
        raise BackendProtocolError(
            f"the replica serves {own.base_model[:80]!r} while the others serve"
            f" {min(others)[:80]!r}: start it with that base model, or take it out of the pool",
            metadata={"why": OTHER_BASE_MODEL},
        )
    wanted = _context(own, ready, starting)
    if own.context_tokens is not None and own.context_tokens < wanted:
        raise BackendProtocolError(
            f"the replica's context is {own.context_tokens} tokens long while the others' is"
            f" {wanted}: start it with --max-model-len {wanted}, or take it out of the pool",
            metadata={"why": SHORT_CONTEXT},
        )


def _context(
    own: ServerIdentity, ready: Sequence[ServerIdentity], starting: Sequence[ServerIdentity]
) -> int:
    """Give the context length that is expected; 0: any."""
    served = [one.context_tokens for one in ready if one.context_tokens is not None]
    if served:
        return min(served)
    together = [one.context_tokens for one in (own, *starting) if one.context_tokens is not None]
    return median_high(together) if together else 0
