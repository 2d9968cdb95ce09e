"""An adapter's folder: what of it is sent, and what is refused by name."""

import hashlib
import os
import tracemalloc
import zlib
from pathlib import Path

import pytest

from tame_router.canonical_code import Code
from tame_router.client import adapter_request
from tame_router.client.adapter_folder import CHUNK_BYTES, Place, read_folder
from tame_router.client.adapter_request import UploadCourse
from tame_router.client.rpc_error import RpcError
from tame_router.errors import InvalidRequestError
from tame_router.errors_registry import StorageUnavailableError, UploadError
from tame_router.v1 import adapter_registry_service_pb2 as pb
from tests.adapter_folder import MIB, write_adapter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of an adapter of a few MiB."""
    return write_adapter(tmp_path / "legal")


def test_only_the_files_of_a_revision_are_sent(folder: Path) -> None:
    """With their digests, in order of their names; the others are told."""
    (folder / "checkpoints").mkdir()
    read = read_folder(folder)
    assert [file.path for file in read.files] == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    for file in read.files:
        data = (folder / file.path).read_bytes()
        assert (file.size_bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert read.left_out == (".gitattributes", "checkpoints", "optimizer.pt")


def test_everything_is_sent_where_that_is_asked_for(folder: Path) -> None:
    """Folders below too, with slashes between."""
    below = folder / "checkpoints" / "7"
    below.mkdir(parents=True)
    (below / "state.bin").write_bytes(b"x")
    read = read_folder(folder, everything=True)
    assert "checkpoints/7/state.bin" in {file.path for file in read.files}
    assert read.left_out == ()


@pytest.mark.parametrize(
    ("path", "make", "words"),
    [
        ("README.md", lambda file: file.symlink_to("/etc/hostname"), "is a symbolic link"),
        ("README.md", lambda file: file.symlink_to("nowhere"), "is a symbolic link"),
        ("README.md", os.mkfifo, "is no plain file"),
        ("README.md", lambda file: file.mkdir(), "is no plain file"),
    ],
    ids=["link", "dangling", "pipe", "folder"],
)
def test_what_is_no_plain_file_is_refused_by_name(
    folder: Path, path: str, make: object, words: str
) -> None:
    """It would be another file's bytes, or none."""
    (folder / path).unlink()
    make(folder / path)  # type: ignore[operator]
    with pytest.raises(InvalidRequestError, match=f"{path} {words}"):
        read_folder(folder)


def test_a_linked_folder_is_refused_where_everything_is_sent(folder: Path, tmp_path: Path) -> None:
    """Nothing behind it is looked at."""
    (folder / "more").symlink_to(tmp_path)
    assert "more" in read_folder(folder).left_out
    with pytest.raises(InvalidRequestError, match="more is a symbolic link"):
        read_folder(folder, everything=True)


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    """And so is what is no folder, before anything is sent."""
    with pytest.raises(InvalidRequestError, match="holds no file of an adapter"):
        read_folder(tmp_path)
    with pytest.raises(InvalidRequestError, match="is no folder"):
        read_folder(tmp_path / "absent")


@pytest.mark.parametrize("place", [Place(), Place(file=2, offset=MIB + 7)], ids=["begin", "middle"])
def test_pieces_are_the_files_from_a_place_on(folder: Path, place: Place) -> None:
    """In order, none longer than a piece, each with the checksum of its file so far."""
    read = read_folder(folder)
    data = [(folder / file.path).read_bytes() for file in read.files]
    begun = Place(
        file=place.file,
        offset=place.offset,
        running_crc32=zlib.crc32(data[place.file][: place.offset]),
    )
    sent = [b"", b"", b""]
    for piece in read.pieces(begun):
        expected = place.offset if piece.file == place.file else 0
        assert piece.offset == expected + len(sent[piece.file])
        assert 0 < len(piece.data) <= CHUNK_BYTES
        sent[piece.file] += piece.data
        end = piece.offset + len(piece.data)
        assert piece.running_crc32 == zlib.crc32(data[piece.file][:end])
    skipped = [place.offset if n == place.file else 0 for n in range(3)]
    for number in range(place.file, 3):
        assert sent[number] == data[number][skipped[number] :]
    assert not list(read.pieces(Place(file=3)))


def test_memory_stays_flat_however_large_a_file_is(tmp_path: Path) -> None:
    """Reading 64 MiB takes a few pieces at a time."""
    folder = write_adapter(tmp_path / "large", model_bytes=0)
    with (folder / "adapter_model.safetensors").open("wb") as model:
        model.truncate(64 * MIB)
    tracemalloc.start()
    try:
        read = read_folder(folder)
        total = sum(len(piece.data) for piece in read.pieces(Place()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == read.size_bytes > 64 * MIB
    assert peak < 8 * MIB


@pytest.mark.parametrize(
    ("digest", "words"), [("zz", "64 hexadecimal characters"), ("é", "64 hexadecimal characters")]
)
def test_a_digest_that_is_none_is_refused(folder: Path, digest: str, words: str) -> None:
    """Before anything is sent; half a surrogate pair in a name likewise."""
    read = read_folder(folder)
    with pytest.raises(InvalidRequestError, match=words):
        adapter_request.announcement(read, "legal", base_model_digest=digest)
    with pytest.raises(InvalidRequestError, match="expert cannot be sent"):
        adapter_request.announcement(read, "\udcff")


def test_an_upload_is_tried_again_while_it_makes_headway() -> None:
    """So many tries in a row may bring nothing; a refusal is final, a wait is kept to."""
    broke = RpcError("gone", Code.UNAVAILABLE)
    course = UploadCourse(3)
    for received in (1, 2, 3, 4, 5):
        course.told(pb.UploadProgress(received_bytes=received, size_bytes=9))
        assert course.wait_s(broke) == 0.2
    course.told(pb.UploadProgress(received_bytes=5, size_bytes=9))
    assert course.wait_s(broke) == 0.4
    assert course.wait_s(broke) is None
    busy = StorageUnavailableError("busy", retry_after_s=2)
    assert UploadCourse(3).wait_s(busy) == 2
    assert UploadCourse(3).wait_s(StorageUnavailableError("busy", retry_after_s=1000)) == 5
    assert UploadCourse(3).wait_s(UploadError("no")) is None
    assert UploadCourse(1).wait_s(broke) is None
