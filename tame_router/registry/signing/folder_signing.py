"""Signing a folder before it is uploaded, and checking a folder's signature as a router would."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tame_router.errors import ConfigError
from tame_router.registry.file_digest import sha256_of
from tame_router.registry.manifest import FileEntry, Manifest, make_manifest
from tame_router.registry.revision_file import MOST_SIGNATURE_BYTES, SIGNATURE_PATH
from tame_router.registry.signing.signature import Verdict, check_signature
from tame_router.registry.signing.signing_library import sign_files
from tame_router.registry.signing.signing_policy import SigningPolicy


def sign_folder(
    folder: Path,
    private_key: Path,
    *,
    paths: Sequence[str] | None = None,
    password: str = "",
    certificate: Path | None = None,
    chain: Sequence[Path] = (),
) -> Path:
    """Write `model.sig` into a folder, in the place of one that is there; give its path.

    Args:
        folder: The revision's files.
        private_key: PEM file with a private key on one of the curves P-256, P-384, P-521.
        paths: The files that will be uploaded, and no others; None: all but hidden ones.
        password: The key's; empty: it has none.
        certificate: PEM file with a certificate for that key; None: sign with the bare key.
        chain: PEM files with the certificates between that one and the authority.

    Raises:
        ConfigError: When key, certificate or a file cannot be used.
    """
    signature = folder / SIGNATURE_PATH
    try:
        sign_files(
            folder,
            _signed(folder, paths),
            signature,
            private_key=private_key,
            password=password,
            certificate=certificate,
            chain=chain,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} cannot be signed with {private_key}: {error}") from error
    return signature


def check_folder(
    folder: Path, policy: SigningPolicy, moment: datetime, *, paths: Sequence[str] | None = None
) -> Verdict:
    """Check a folder's `model.sig`, as `check_signature` does after an upload.

    Raises:
        ConfigError: When a file cannot be read.
    """
    try:
        manifest = folder_manifest(folder, _signed(folder, paths))
        path = folder / SIGNATURE_PATH
        signature = b""
        if path.exists():
            with path.open("rb") as file:
                signature = file.read(MOST_SIGNATURE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be checked: {error}") from error
    return check_signature(manifest, signature, policy, moment)


def folder_manifest(folder: Path, paths: Sequence[str]) -> Manifest:
    """Digest files of a folder.

    Raises:
        OSError: When one cannot be read.
    """
    entries = []
    for path in paths:
        with (folder / path).open("rb") as file:
            size = (folder / path).stat().st_size
            entries.append(FileEntry(path=path, size_bytes=size, sha256=sha256_of(file)))
    return make_manifest(entries)


def _signed(folder: Path, paths: Sequence[str] | None) -> list[str]:
    """Give the files to sign, sorted; what is no plain file is left to be refused by name."""
    if paths is None:
        found = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
        paths = [
            path.as_posix()
            for path in found
            if not any(part.startswith(".") for part in path.parts)
        ]
    return sorted(set(paths) - {SIGNATURE_PATH})
