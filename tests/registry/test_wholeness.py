"""Bytes of a revision that is uploaded again are read, and not again at once."""

import asyncio
from pathlib import Path

import pytest

from tame_router.registry.manifest import Manifest
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.registry.uploading.wholeness import BELIEVED_S, Wholeness
from tests.registry.revision_folder import write_revision

pytestmark = pytest.mark.anyio


class Reads(RevisionStore):
    """A store that counts how often revisions are read."""

    reads = 0

    def verify(self, name: str) -> Manifest:
        """Read a revision."""
        self.reads += 1
        return super().verify(name)


async def test_a_revision_is_read_once_in_ten_minutes(tmp_path: Path) -> None:
    """However many announce it at once; what is damaged or gone is told whenever it is read."""
    now = [0.0]
    store = Reads(str(tmp_path / "store"))
    manifest = write_revision(tmp_path / "in")
    name = store.put("legal", manifest, tmp_path / "in")
    whole = Wholeness(store, lambda: now[0])
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(whole.of(name)) for _ in range(5)]
    assert ([task.result() for task in asked], store.reads) == ([True] * 5, 1)
    (tmp_path / "store/blobs" / manifest.files[0].sha256).unlink()
    now[0] += BELIEVED_S
    for reads in (2, 3):
        assert (await whole.of(name), store.reads) == (False, reads)
    store.put("legal", manifest, tmp_path / "in")
    assert await whole.of(name)
    store.remove(name)
    assert (await whole.of(name), store.reads) == (False, 4)
