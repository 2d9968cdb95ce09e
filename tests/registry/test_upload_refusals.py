"""What is refused of an upload, by which reason, and that it leaves nothing."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tame_router.errors_registry import StorageFullError, UploadError
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.request import Announcement, Chunk
from tests.registry.revision_folder import FILES, entry_of, lying
from tests.registry.upload_trial import Trial, announce, chunks_of, finding

pytestmark = pytest.mark.anyio

MODEL = "adapter_model.safetensors"


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """Give uploads with a checker that finds nothing."""
    return Trial(tmp_path / "uploads")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"at_start": [finding(Reason.PICKLE_REFUSED, "x.bin")]}, "PICKLE_REFUSED"),
        ({"at_byte": {MODEL: (1_000_000, finding(Reason.NOT_FINITE))}}, "NOT_FINITE"),
        ({"at_end": [finding(Reason.TENSOR_MISSING)] * 5}, "TENSOR_MISSING"),
    ],
    ids=["at the start", "on the way", "at the end"],
)
async def test_what_is_refused_leaves_nothing(
    tmp_path: Path, told: dict[str, object], reason: str
) -> None:
    """The error names the reason, what to do, and nothing stays on the disk."""
    trial = Trial(tmp_path / "uploads", **told)
    with pytest.raises(UploadError, match=f"{reason}.*mend it") as caught:
        await trial.upload(dict(FILES))
    assert caught.value.metadata == {"findings": reason}
    assert lying(tmp_path) == {}


async def test_what_is_only_worth_knowing_stays(tmp_path: Path) -> None:
    """A finding that is not fatal is told with the rest."""
    told = finding(Reason.CARD_MISSING, fatal=False)
    trial = Trial(tmp_path / "uploads", at_start=[told])
    assert (await trial.upload(dict(FILES))).findings == (told,)


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["../x"], "PATH_UNSAFE"),
        (["/x"], "PATH_UNSAFE"),
        ([""], "PATH_UNSAFE"),
        (["a", "a"], "PATH_TWICE"),
        (["a/b", "a"], "PATH_TWICE"),
        (["a", "a/b/c"], "PATH_TWICE"),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
async def test_paths_that_lead_elsewhere_are_refused(
    trial: Trial, paths: list[str], reason: str, dry: bool
) -> None:
    """Whatever the checker thinks of them, and before a byte is taken."""
    files = tuple(entry_of(path, b"") for path in paths)
    with pytest.raises(UploadError, match=reason):
        async with trial.uploads.receiving(
            "acme", Announcement(expert="legal", files=files), dry=dry
        ):
            pass
    assert not trial.folder.exists()


def _with_crc(chunk: Chunk) -> Chunk:
    return replace(chunk, running_crc32=zlib.crc32(chunk.data))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda c: replace(c, offset=1), "expected byte 0 of file 0"),
        (lambda c: replace(c, file=1), "expected byte 0 of file 0"),
        (lambda c: replace(c, file=9), "expected byte 0 of file 0"),
        (lambda c: replace(c, running_crc32=c.running_crc32 ^ 1), "running_crc32"),
        (lambda c: _with_crc(replace(c, data=c.data + b"x")), "SIZE_MISMATCH"),
        (lambda c: _with_crc(replace(c, data=b"x" * len(c.data))), "DIGEST_MISMATCH"),
    ],
    ids=["offset", "file", "no file", "checksum", "too long", "other bytes"],
)
async def test_a_wrong_chunk_is_refused(
    trial: Trial, wrong: Callable[[Chunk], Chunk], match: str
) -> None:
    """What is out of place, damaged, too long or something else is refused as such."""
    with pytest.raises(UploadError, match=match):  # noqa: PT012 - either call may tell
        async with trial.uploads.receiving("acme", announce()) as upload:
            await upload.write(wrong(next(chunks_of())))
            await upload.finish()
    assert (await trial.upload(dict(FILES))).folder


async def test_an_upload_that_lacks_bytes_is_not_finished(trial: Trial) -> None:
    """The error says from where to go on, and what came stays."""
    async with trial.uploads.receiving("acme", announce()) as upload:
        await upload.write(next(chunks_of()))
        with pytest.raises(UploadError, match=r"21 of 2304021 bytes.*byte 0 of file 1"):
            await upload.finish()
    async with trial.uploads.receiving("acme", announce()) as upload:
        assert upload.progress.received_bytes == 21


async def test_an_empty_file_must_have_the_digest_of_nothing(trial: Trial) -> None:
    """An announced digest that no bytes can have is refused, and not tried for ever."""
    wrong = FileEntry(path="README.md", size_bytes=0, sha256="0" * 64)
    with pytest.raises(UploadError, match="DIGEST_MISMATCH"):
        async with trial.uploads.receiving("acme", Announcement(expert="legal", files=(wrong,))):
            pass


async def test_a_tenant_has_room_for_so_much_at_once(trial: Trial) -> None:
    """Uploads that are not finished count; another tenant's, and this one's own try, do not."""
    half = {"adapter_config.json": b"x" * 1000}
    async with trial.uploads.receiving("acme", announce(half), room_bytes=1000) as upload:
        await upload.write(next(chunks_of(half, size=600)))
    async with trial.uploads.receiving("acme", announce(half), room_bytes=1000) as upload:
        assert upload.progress.received_bytes == 600
    other = {"README.md": b"y" * 500}
    with pytest.raises(StorageFullError, match="take 600 bytes"):
        async with trial.uploads.receiving("acme", announce(other), room_bytes=1000):
            pass
    async with trial.uploads.receiving("other", announce(other), room_bytes=1000):
        pass
    async with trial.uploads.receiving("acme", announce(other), room_bytes=1100):
        pass


async def test_what_has_no_room_is_refused_before_it_comes(trial: Trial) -> None:
    """An upload larger than the disk takes no byte, and leaves no folder."""
    huge = FileEntry(path=MODEL, size_bytes=2**60, sha256="0" * 64)
    with pytest.raises(StorageFullError, match="has room for"):
        async with trial.uploads.receiving("acme", Announcement(expert="legal", files=(huge,))):
            pass
    assert lying(trial.folder) == {}
