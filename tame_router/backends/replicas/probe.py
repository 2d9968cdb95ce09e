"""The probe of a replica that failed: one token of the base model, and no caller's."""

import asyncio
from typing import Final

from tame_router.backends.backend import Generation
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.chat import Message, Role, Sampling

_QUESTION: Final = (Message(role=Role.USER, content="."),)


async def probe(backend: VllmBackend, timeout_s: float) -> None:
    """Have a server write one token with its base model.

    Args:
        backend: Speaks to it.
        timeout_s: Longest time that it may take.

    Raises:
        TameError: When it does not.
    """
    generation = Generation(
        revision="",
        messages=_QUESTION,
        sampling=Sampling(max_tokens=1, temperature=0),
        request_id="probe",
        deadline=asyncio.get_running_loop().time() + timeout_s,
    )
    async with backend.open(generation) as pieces:
        async for _ in pieces:
            pass
