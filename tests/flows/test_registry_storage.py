"""Disks that are full, closed or rotten: nothing half-done stays, and what is wrong is said."""

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tame_router.client.adapter import RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.errors_registry import (
    CorruptRevisionError,
    StorageFullError,
    StorageUnavailableError,
)
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.telemetry import log
from tests.registry.test_revision_store_faults import disk_of
from tests.registry_fixture import (
    Site,
    answering,
    approved,
    decided,
    label,
    name_of,
    states,
)

pytestmark = pytest.mark.anyio

WEIGHTS = "adapter_model.safetensors"
DISK_BYTES = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of a megabyte. Skips where nobody lets the tests mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = _mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place))
    if not made:
        pytest.skip("mounting a small disk takes root and its rights")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_store_that_is_full(site: Site, small_disk: Path) -> None:
    """The upload is refused as such; no part of it is kept, and it is made once there is room."""
    full = small_disk / "others"
    async with site.running(site.changed(url=str(small_disk / "store"))) as client:
        store = RevisionStore(str(small_disk / "store"))
        first = await approved(client, site.adapter(1))
        with full.open("wb") as file:
            _fill(file.fileno())
        with pytest.raises(StorageFullError, match="no room"):
            await client.adapters.upload(site.adapter(2), "legal")
        assert store.names() == [first]
        assert [one.name for one in (await client.adapters.list()).revisions] == [first]
        # What is there already can be used, as it takes no room.
        assert (await client.adapters.publish(first)).label.live == first
        full.unlink()
        second = await approved(client, site.adapter(2))
        store.verify(second)
        assert (await client.adapters.publish(second)).label.live == second


async def test_a_disk_for_uploads_that_is_full(site: Site, small_disk: Path) -> None:
    """Where what is announced finds no room not a byte of it is taken."""
    uploads = site.settings.state_dir / "uploads"
    uploads.symlink_to(small_disk, target_is_directory=True)
    async with site.running() as client:
        with pytest.raises(StorageFullError, match="nothing was taken"):
            await client.adapters.upload(site.adapter(), "legal")
        assert (await client.adapters.list()).revisions == ()
        assert os.listdir(small_disk) == []  # noqa: PTH208 - no path is needed
        # A dry run takes no room.
        assert not (await client.adapters.validate(site.adapter(), "legal")).refused


async def test_room_that_ends_in_the_middle_of_a_file(
    registry_client: AsyncClient, site: Site
) -> None:
    """A file that can grow no further ends the upload; what came of it is thrown away."""
    folder = site.adapter()
    # Larger than all that the service itself writes in the meantime.
    (folder / "README.md").write_bytes(b"#" * 900_000)
    site.teach(name_of(folder))
    with disk_of(600_000), pytest.raises(StorageFullError):
        await registry_client.adapters.upload(folder, "legal")
    assert (await registry_client.adapters.list()).revisions == ()
    assert list((site.settings.state_dir / "uploads").iterdir()) == []
    assert await approved(registry_client, folder) == name_of(folder)


async def test_a_store_that_is_read_only(site: Site, small_disk: Path) -> None:
    """Nothing is added or removed, and all that only reads goes on; the upload is not lost."""
    store = small_disk / "store"
    async with site.running(site.changed(url=str(store))) as client:
        first = await approved(client, site.adapter(1))
        await client.adapters.retire(other := await approved(client, site.adapter(3)))
        assert _mount("-o", "remount,ro", str(small_disk))
        try:
            with pytest.raises(StorageUnavailableError) as caught:
                await client.adapters.upload(site.adapter(2), "legal")
            assert (caught.value.retry_after_s or 0) > 0
            assert str(small_disk) not in caught.value.message
            assert (await client.adapters.upload(site.adapter(1), "legal")).name == first
            assert (await client.adapters.publish(first)).label.live == first
            assert await answering(client) == first
        finally:
            assert _mount("-o", "remount,rw", str(small_disk))
        second = await approved(client, site.adapter(2))
        assert sorted(RevisionStore(str(store)).names()) == sorted([first, second, other])


async def test_rotten_bytes_are_not_published(
    registry_client: AsyncClient, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Publication is refused, the log raises an alarm, and the same bytes again mend it."""
    caplog.set_level(logging.ERROR, log.LOGGER.name)
    folder = site.adapter()
    name = await approved(registry_client, folder)
    rot(site, folder / WEIGHTS)
    with pytest.raises(CorruptRevisionError, match="upload it again") as caught:
        await registry_client.adapters.publish(name)
    assert caught.value.metadata["revision"] == name
    assert str(site.store) not in caught.value.message
    alarms = [one for one in caplog.records if one.message == "adapter.corrupt"]
    assert [one.levelno for one in alarms] == [logging.ERROR]
    assert vars(alarms[0])["facts"]["revision"] == name
    assert await states(registry_client, name) == [RevisionState.APPROVED]
    assert (await label(registry_client)).generation == 0
    assert await answering(registry_client) == site.own
    assert (await registry_client.adapters.upload(folder, "legal")).name == name
    RevisionStore(str(site.store)).verify(name)
    assert (await registry_client.adapters.publish(name)).label.live == name


@pytest.mark.parametrize("harm", ["another", "gone"])
async def test_a_rotten_manifest(registry_client: AsyncClient, site: Site, harm: str) -> None:
    """A revision whose list of files is another, or gone, is no better; it is mended likewise."""
    folder = site.adapter()
    name = await approved(registry_client, folder)
    document = site.store / "revisions" / name / "manifest.json"
    document.unlink()
    if harm == "another":
        document.write_bytes(b'{"files":[],"format":1}')
    with pytest.raises(CorruptRevisionError):
        await registry_client.adapters.publish(name)
    assert await states(registry_client, name) == [RevisionState.APPROVED]
    assert (await registry_client.adapters.upload(folder, "legal")).name == name
    assert (await registry_client.adapters.publish(name)).label.live == name


async def test_rotten_bytes_are_not_gone_back_to(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """What replicas have let go of is looked at before they load it again."""
    caplog.set_level(logging.ERROR, log.LOGGER.name)
    folder = site.adapter(1)
    async with site.running() as client:
        first = await approved(client, folder)
        second = await approved(client, site.adapter(2))
        await client.adapters.publish(first)
        await client.adapters.publish(second)
        rot(site, folder / WEIGHTS)
        # Replicas have it, as it was: it can be gone back to at once.
        assert (await client.adapters.rollback("legal")).live == first
        await client.adapters.publish(second)
    async with site.running() as client:
        for revision in ("", first):
            with pytest.raises(CorruptRevisionError):
                await client.adapters.rollback("legal", revision)
        assert "adapter.corrupt" in {one.message for one in caplog.records}
        assert (await label(client)).live == second
        assert await states(client, first, second) == [RevisionState.RETIRED, RevisionState.ACTIVE]
        assert await answering(client) == second
        assert (await client.adapters.rollback("legal", site.own)).live == site.own


async def test_what_rots_before_it_is_judged_is_refused(site: Site) -> None:
    """Asked for again, its bytes are looked at again: it is refused with the reason."""
    folder = site.adapter()
    name = name_of(folder)
    async with site.running() as client:
        site.fakes[0].worse[name] = 0.5
        await client.adapters.upload(folder, "legal")
        assert (await decided(client, name)).state is RevisionState.REJECTED
        rot(site, folder / WEIGHTS)
        site.fakes[0].worse.clear()
        async with client.adapters.watch(name, timeout_s=30) as changes:
            await anext(changes)
            await client.adapters.evaluate(name)
            assert (await anext(changes)).state is RevisionState.VALIDATING
            assert (await anext(changes)).state is RevisionState.REJECTED
        found = await client.adapters.get(name)
        assert {one.reason for one in found.findings if one.fatal} == {"DIGEST_MISMATCH"}


def rot(site: Site, path: Path) -> None:
    """Change one bit of what the store keeps of a file."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    found = [blob for blob in (site.store / "blobs").iterdir() if _alike(blob, path)]
    (blob,) = found
    blob.unlink()
    blob.write_bytes(data)


def _alike(blob: Path, path: Path) -> bool:
    return blob.stat().st_size == path.stat().st_size and blob.read_bytes() == path.read_bytes()


def _fill(descriptor: int) -> None:
    """Write until there is no room, to the last byte."""
    for size in (2**16, 1):
        try:
            while True:
                os.write(descriptor, b"#" * size)
        except OSError:
            continue


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0
