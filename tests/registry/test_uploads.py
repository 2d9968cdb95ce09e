"""Uploads: what is sent arrives, a break loses nothing, and what is refused leaves nothing."""

import asyncio
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tame_router.errors_registry import UploadInterruptedError
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.uploading import staging
from tame_router.registry.uploading.upload import WAITING_CHUNKS
from tame_router.registry.uploading.uploads import Uploads, upload_id_of
from tests.registry.revision_folder import FILES, lying, write_revision
from tests.registry.upload_trial import ToldChecker, Trial, announce, chunks_of, finding, send

pytestmark = pytest.mark.anyio

MODEL = "adapter_model.safetensors"


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """Give uploads with a checker that finds nothing."""
    return Trial(tmp_path / "uploads")


async def test_what_is_sent_arrives(trial: Trial) -> None:
    """All files lie in the folder, the checker has seen all bytes, and progress tells the end."""
    files = {**FILES, "model.sig": b"signed"}
    async with trial.uploads.receiving("acme", announce(files)) as upload:
        assert (upload.progress.received_bytes, upload.progress.offset) == (0, 0)
        received = await send(upload, files)
        progress = upload.progress
    assert (progress.file, progress.received_bytes) == (4, sum(map(len, files.values())))
    assert received.folder is not None
    assert lying(received.folder) == files
    assert received.signature == b"signed"
    assert received.manifest.files == tuple(sorted(announce(files).files, key=lambda f: f.path))
    assert trial.checkers[-1].seen == {path: data for path, data in files.items() if data}


async def test_what_is_discarded_is_gone(trial: Trial) -> None:
    """Whoever has kept the files elsewhere has them removed at the end."""
    async with trial.uploads.receiving("acme", announce()) as upload:
        await send(upload)
        upload.discard()
    assert list(trial.folder.iterdir()) == []


async def test_a_dry_run_keeps_nothing_and_finds_all(tmp_path: Path) -> None:
    """It goes on after something fatal, tells all that was found, and makes no folder."""
    found = finding(Reason.NOT_FINITE), finding(Reason.ALL_ZERO)
    trial = Trial(tmp_path / "uploads", at_byte={MODEL: (0, found[0])}, at_end=[found[1]])
    async with trial.uploads.receiving("acme", announce(), dry=True) as upload:
        for chunk in chunks_of():
            assert await upload.write(chunk) is None
        received = await upload.finish()
    assert set(received.findings) == set(found)
    assert received.folder is None
    assert not trial.folder.exists()


async def test_progress_is_told_once_it_is_on_disk(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is acknowledged grows, is never more than was sent, and has the right checksum."""
    monkeypatch.setattr(staging, "FLUSH_BYTES", 10**6)
    data = FILES[MODEL]
    told = []
    async with trial.uploads.receiving("acme", announce()) as upload:
        for chunk in chunks_of(size=100_000):
            progress = await upload.write(chunk)
            if progress is not None:
                told.append(progress)
                assert progress.received_bytes <= sum(map(len, FILES.values()))
                if progress.file == 1:
                    assert progress.running_crc32 == zlib.crc32(data[: progress.offset])
        await upload.finish()
        told.append(upload.progress)
    received = [progress.received_bytes for progress in told]
    assert received == sorted(set(received))
    assert told[-1].received_bytes == told[-1].size_bytes


@pytest.mark.parametrize("sent", range(7))
async def test_a_stream_that_breaks_is_taken_up(trial: Trial, sent: int) -> None:
    """Whenever it broke, announcing again tells where to go on, and the end is the same."""
    async with trial.uploads.receiving("acme", announce()) as upload:
        for chunk in list(chunks_of())[:sent]:
            await upload.write(chunk)
    async with trial.uploads.receiving("acme", announce()) as upload:
        assert upload.progress.received_bytes == sum(len(c.data) for c in list(chunks_of())[:sent])
        received = await send(upload)
        assert received.folder is not None
        assert lying(received.folder) == FILES
    assert trial.checkers[-1].seen == {path: data for path, data in FILES.items() if data}


async def test_another_tenants_upload_is_another(trial: Trial) -> None:
    """Nobody goes on with what somebody else began, nor with files in another order."""
    announced = announce()
    names = {
        upload_id_of("acme", announced),
        upload_id_of("other", announced),
        upload_id_of("acme", replace(announced, files=announced.files[::-1])),
        upload_id_of("acme", replace(announced, expert="medical")),
    }
    assert len(names) == 4
    assert upload_id_of("acme", replace(announced, request_id="x" * 8)) in names


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files: (files / MODEL).write_bytes(b"x" * 1000),
        lambda files: (files / MODEL).write_bytes(b"x" * len(FILES[MODEL])),
        lambda files: (files / MODEL).write_bytes(b"x" * 3_000_000),
        lambda files: (files / "README.md").write_bytes(b"x"),
        lambda files: (files / "adapter_config.json").unlink(),
    ],
    ids=["other", "other whole", "longer", "not empty", "gone"],
)
async def test_what_rotted_meanwhile_is_sent_again(
    trial: Trial, spoil: Callable[[Path], object]
) -> None:
    """Whatever lies there that was not sent, the end is right, after one more try at most."""
    async with trial.uploads.receiving("acme", announce()) as upload:
        received = await send(upload)
    assert received.folder is not None
    spoil(received.folder)
    try:
        received = await trial.upload(dict(FILES))
    except UploadInterruptedError:
        received = await trial.upload(dict(FILES))
    assert received.folder is not None
    assert lying(received.folder) == FILES
    assert trial.checkers[-1].seen == {path: data for path, data in FILES.items() if data}


async def test_a_second_stream_takes_over(trial: Trial) -> None:
    """The first is told so, the second goes on where it was, and no byte is lost."""
    async with trial.uploads.receiving("acme", announce()) as first:
        await first.write(next(chunks_of()))
        async with trial.uploads.receiving("acme", announce()) as second:
            assert second.progress.received_bytes == len(FILES["adapter_config.json"])
            with pytest.raises(UploadInterruptedError, match="took over"):
                await first.write(next(chunks_of(at=second.progress)))
            with pytest.raises(UploadInterruptedError, match="took over"):
                await first.finish()
            received = await send(second)
    assert received.folder is not None
    assert lying(received.folder) == FILES


async def test_many_streams_at_once_leave_one(trial: Trial) -> None:
    """However many take over from each other at once, each ends, and one of them has it all."""

    async def one() -> None:
        try:
            outcomes.append(await trial.upload(dict(FILES)))
        except UploadInterruptedError as error:
            outcomes.append(error)

    outcomes: list[object] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(one())
    assert len(outcomes) == 8
    received = await trial.upload(dict(FILES))
    assert received.folder is not None
    assert lying(received.folder) == FILES


async def test_another_processes_upload_is_left_alone(trial: Trial) -> None:
    """Where another holds the folder the caller is told when to try again."""
    await trial.upload(dict(FILES))
    held = staging.Staging(next(trial.folder.glob("*/*/")))
    with pytest.raises(UploadInterruptedError, match="another process") as caught:
        await trial.upload(dict(FILES))
    assert caught.value.retry_after_s
    held.close(discard=False)
    await trial.upload(dict(FILES))


async def test_old_uploads_are_thrown_away(trial: Trial) -> None:
    """What nobody has gone on with goes; what is open, or young, stays."""
    assert await trial.uploads.collect(0) == 0
    async with trial.uploads.receiving("acme", announce()) as upload:
        await upload.write(next(chunks_of()))
        assert await trial.uploads.collect(-10) == 0
    assert await trial.uploads.collect(3600) == 0
    assert await trial.uploads.collect(-10) == 1
    assert list(trial.folder.iterdir()) == []


class Slow(ToldChecker):
    """A checker that waits until it may go on, and then breaks where it is told to.

    Attributes:
        may: Whether it may go on.
        broken: What it raises.
    """

    may: threading.Event
    broken: Exception | None = None

    def feed(self, path: str, data: bytes | memoryview) -> list[Finding]:
        """Wait, then find nothing."""
        self.may.wait()
        if self.broken:
            raise self.broken
        return super().feed(path, data)


async def test_a_sender_waits_for_a_slow_thread(tmp_path: Path) -> None:
    """Chunks are taken until so many wait; only then does the caller wait too."""
    checker = Slow()
    checker.may = threading.Event()
    files = {"README.md": b"x" * 1000}
    taken: list[int] = []
    taken_when_waiting: list[int] = []

    def let_go() -> None:
        taken_when_waiting.append(len(taken))
        checker.may.set()

    uploads = Uploads(tmp_path, lambda _: checker)
    async with uploads.receiving("acme", announce(files)) as upload:
        asyncio.get_running_loop().call_soon(let_go)  # it runs when a write waits, not before
        for chunk in chunks_of(files, size=1):
            await upload.write(chunk)
            taken.append(chunk.offset)
        assert (await upload.finish()).folder
    assert taken_when_waiting == [WAITING_CHUNKS]
    assert checker.seen == files


async def test_a_checker_that_breaks_is_an_error_of_ours(tmp_path: Path) -> None:
    """What nobody expected is raised where the caller waits, and nothing hangs."""
    checker = Slow()
    checker.may = threading.Event()
    checker.may.set()
    checker.broken = RuntimeError("broken")
    uploads = Uploads(tmp_path, lambda _: checker)
    with pytest.raises(RuntimeError, match="broken"):
        async with uploads.receiving("acme", announce()) as upload:
            await send(upload)


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=4),
    piece=st.integers(1, 1500),
    breaks=st.lists(st.integers(0, 10), max_size=4),
)
async def test_any_files_in_any_pieces_with_any_breaks_arrive(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], piece: int, breaks: list[int]
) -> None:
    """However it is cut and however often it breaks, what arrives is what was sent."""
    files = {f"f{n}": bytes((n + i) % 251 for i in range(size)) for n, size in enumerate(sizes)}
    trial = Trial(tmp_path_factory.mktemp("uploads"))
    for sent in breaks:
        async with trial.uploads.receiving("acme", announce(files)) as upload:
            for chunk in list(chunks_of(files, upload.progress, piece))[:sent]:
                await upload.write(chunk)
    async with trial.uploads.receiving("acme", announce(files)) as upload:
        received = await send(upload, files)
        assert received.folder is not None
        assert lying(received.folder) == files
    assert write_revision(trial.folder / "again", files) == received.manifest
