"""Uploads whose files are wrong by their paths, kinds and sizes."""

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace

from tame_router.registry.reason import Reason
from tests.registry.validation.upload import (
    CONFIG,
    RULES,
    WEIGHTS,
    Upload,
    entry,
    small_upload,
    with_file,
)


def without(path: str) -> Upload:
    """Leave a file out of the small upload."""
    upload = small_upload()
    del upload.files[path]
    return upload


def announced_otherwise(difference: int) -> Upload:
    """Announce the card with another size than it has."""
    upload = small_upload()
    upload.announced = tuple(
        replace(file, size_bytes=file.size_bytes + difference * (file.path == "README.md"))
        for file in upload.entries()
    )
    return upload


def announced_twice() -> Upload:
    """Announce the configuration two times."""
    upload = small_upload()
    upload.announced = (*upload.entries(), entry(CONFIG, upload.files[CONFIG]))
    return upload


def pickled_weights() -> Upload:
    """Send a pickle under the name of the weights."""
    return small_upload(weights=pickle.dumps({"weight": list(range(1000))}))


def torch_weights() -> Upload:
    """Send what PyTorch writes, a ZIP archive of pickles, under the name of the weights."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1]) * 100)
    return small_upload(weights=made.getvalue())


def archived_weights() -> Upload:
    """Send a ZIP archive under the name of the weights."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("adapter_model.safetensors", b"x" * 200)
    return small_upload(weights=made.getvalue())


def gzipped_weights() -> Upload:
    """Send a compressed archive under the name of the weights."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO(b""))
    return small_upload(weights=made.getvalue())


CASES: dict[str, tuple[Callable[[], Upload], Reason]] = {
    "an absolute path": (lambda: with_file("/etc/passwd"), Reason.PATH_UNSAFE),
    "a path upwards": (lambda: with_file("../adapter_config.json"), Reason.PATH_UNSAFE),
    "a path up and down": (lambda: with_file("a/../../b.json"), Reason.PATH_UNSAFE),
    "a dot": (lambda: with_file("./README.md"), Reason.PATH_UNSAFE),
    "a backslash": (lambda: with_file("..\\legal\\x"), Reason.PATH_UNSAFE),
    "a drive": (lambda: with_file("C:config"), Reason.PATH_UNSAFE),
    "a home": (lambda: with_file("~/.ssh/key"), Reason.PATH_UNSAFE),
    "no path": (lambda: with_file(""), Reason.PATH_UNSAFE),
    "a NUL": (lambda: with_file("README.md\0.bin"), Reason.PATH_UNSAFE),
    "a line break": (lambda: with_file("README.md\n"), Reason.PATH_UNSAFE),
    "a folder's slash": (lambda: with_file("adapter/"), Reason.PATH_UNSAFE),
    "two slashes": (lambda: with_file("a//b"), Reason.PATH_UNSAFE),
    "a hidden file": (lambda: with_file(".bashrc"), Reason.PATH_UNSAFE),
    "a look-alike letter": (lambda: with_file("аdapter_config.json"), Reason.PATH_UNSAFE),
    "right to left": (lambda: with_file("\u202enosj.gifnoc"), Reason.PATH_UNSAFE),
    "a dot behind": (lambda: with_file("README.md."), Reason.PATH_UNSAFE),
    "a long path": (lambda: with_file("a" * 256), Reason.PATH_UNSAFE),
    "a path twice": (announced_twice, Reason.PATH_TWICE),
    "a PyTorch file": (lambda: with_file("adapter_model.bin"), Reason.PICKLE_REFUSED),
    "a pickle": (lambda: with_file("optimizer.pkl"), Reason.PICKLE_REFUSED),
    "a pickle in capitals": (lambda: with_file("WEIGHTS.PT"), Reason.PICKLE_REFUSED),
    "a pickle as weights": (pickled_weights, Reason.PICKLE_REFUSED),
    "PyTorch's as weights": (torch_weights, Reason.PICKLE_REFUSED),
    "an archive": (lambda: with_file("adapter.tar.gz"), Reason.ARCHIVE_REFUSED),
    "an archive as weights": (archived_weights, Reason.ARCHIVE_REFUSED),
    "a gzip as weights": (gzipped_weights, Reason.ARCHIVE_REFUSED),
    "code": (lambda: with_file("modeling_legal.py"), Reason.FILE_UNEXPECTED),
    "a tokenizer": (lambda: with_file("tokenizer.json"), Reason.FILE_UNEXPECTED),
    "a checkpoint below": (
        lambda: with_file("checkpoint-9/adapter_model.safetensors"),
        Reason.FILE_UNEXPECTED,
    ),
    "no configuration": (lambda: without(CONFIG), Reason.FILE_MISSING),
    "no weights": (lambda: without(WEIGHTS), Reason.FILE_MISSING),
    "an empty file": (lambda: with_file("model.sig", b""), Reason.FILE_EMPTY),
    "a large text": (lambda: with_file("training.json", b" " * (2**20 + 1)), Reason.FILE_TOO_LARGE),
    "large weights": (
        lambda: replace(small_upload(), rules=replace(RULES, max_file_bytes=500)),
        Reason.FILE_TOO_LARGE,
    ),
    "too many files": (
        lambda: small_upload(more={f"file{n}.json": b"x" for n in range(64)}),
        Reason.TOO_MANY_FILES,
    ),
    "too much": (
        lambda: replace(small_upload(), rules=replace(RULES, max_upload_bytes=500)),
        Reason.UPLOAD_TOO_LARGE,
    ),
    "fewer bytes than announced": (lambda: announced_otherwise(8), Reason.SIZE_MISMATCH),
}
"""By what is wrong: how it is made, and why it is refused."""
