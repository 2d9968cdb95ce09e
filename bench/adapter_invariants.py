"""What must hold of the registry whenever it is up again, whatever killed it.

Each check gives what is wrong, in sentences; nothing: it holds.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Final

from bench.adapter_rig import EXPERT, QUESTION, Rig
from bench.adapter_trials import as_in_history
from tame_router.client.adapter import UNDECIDED, Revision, RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors import TameError
from tame_router.registry.storage.revision_store import RevisionStore

UNDER_WAY: Final = UNDECIDED | {RevisionState.PUBLISHING}
"""States that something still has to end."""

_NEVER: Final = {RevisionState.REJECTED, RevisionState.UNKNOWN}
"""All that is uploaded here is in order."""

_POLL_S: Final = 0.05


async def quiet(client: AsyncClient, rig: Rig, within_s: float) -> list[str]:
    """Wait until nothing is under way any more.

    Args:
        client: Asks the service.
        rig: Its records are looked into as well.
        within_s: Longest wait.
    """
    until = asyncio.get_running_loop().time() + within_s
    while True:
        waiting = [one.name for one in await under_way(client)]
        waiting += await asyncio.to_thread(rig.open_jobs)
        if not waiting:
            return []
        if asyncio.get_running_loop().time() > until:
            return [f"still under way after {within_s:g} s: {name}" for name in waiting]
        await asyncio.sleep(_POLL_S)


async def under_way(client: AsyncClient) -> tuple[Revision, ...]:
    """Give the revisions that something still has to end for."""
    return (await client.adapters.list(states=UNDER_WAY)).revisions


async def check(client: AsyncClient, rig: Rig) -> list[str]:
    """Check label, history, states, answers and bytes of a service in which nothing happens."""
    history = await client.adapters.history(EXPERT)
    revisions = (await client.adapters.list()).revisions
    label, changes = history.label, history.changes
    wrong = []
    if [change.label.generation for change in changes] != list(range(label.generation, 0, -1)):
        wrong.append("the history has a gap")
    if changes and changes[0].label != as_in_history(label):
        wrong.append(f"the label is {label}, and the history ends with {changes[0].label}")
    named = {label.live, label.canary, label.shadow} - {""} if label.generation else set()
    active = {one.name for one in revisions if one.state is RevisionState.ACTIVE}
    recorded = {one.name for one in revisions}
    wrong += [f"{one.name} was refused" for one in revisions if one.state in _NEVER]
    if active != named & recorded:
        wrong.append(f"active are {sorted(active)}, and the label names {sorted(named)}")
    own = {change.live_before for change in changes if change.label.generation == 1}
    wrong += [f"the label names {name}, which is not there" for name in named - recorded - own]
    # A canary answers as well, and nobody is given an answer of a shadow.
    answering = {label.live, label.canary or label.live} if label.generation else None
    wrong += await _answers(client, answering)
    wrong += await asyncio.to_thread(rig.history_faults)
    wrong += await asyncio.to_thread(lambda: list(_bytes(rig, recorded)))
    return wrong


async def _answers(client: AsyncClient, may: set[str] | None) -> list[str]:
    """Ask the expert; None: whatever lies in its folder may answer."""
    try:
        answer = await client.chat(QUESTION, expert=EXPERT)
    except TameError as error:
        return [f"the expert does not answer: {error.message}"]
    (finished,) = answer.experts
    if may is not None and finished.revision not in may:
        return [f"{finished.revision} answered, and the label names {sorted(may)}"]
    return []


def _bytes(rig: Rig, recorded: set[str]) -> Iterator[str]:
    """Read every manifest and every blob; each revision on record must have its own."""
    store, blobs = RevisionStore(str(rig.store)), rig.store / "blobs"
    there = {path.name for path in blobs.iterdir()} if blobs.is_dir() else set()
    for name in there:
        with (blobs / name).open("rb") as blob:
            if hashlib.file_digest(blob, "sha256").hexdigest() != name:
                yield f"the blob {name} is not what its name says"
    names = set(store.names())
    yield from (f"{name} is on record, and its bytes are gone" for name in recorded - names)
    for name in names:
        try:
            files = store.manifest(name).files
        except TameError as error:
            yield f"the manifest of {name} cannot be read: {error.message}"
            continue
        lost = {file.sha256 for file in files} - there
        yield from (f"{name} lacks the blob {digest}" for digest in lost)
