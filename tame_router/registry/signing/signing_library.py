"""The one module that knows `model-signing`; loaded when something is signed or checked.

It raises what it likes for a signature that does not hold: all of that is a `ValueError` here.
"""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tame_router.durable_file import replace_file
from tame_router.registry.manifest import FileEntry


def verify_with_key(public_key: Path, files: Sequence[FileEntry], signature: bytes) -> None:
    """Check a signature made with a key.

    Args:
        public_key: PEM file with the public key.
        files: What must be signed, no more and no less.
        signature: The signature file's bytes.

    Raises:
        ValueError: When it does not hold.
    """
    config = _library().verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    _verify(config, files, signature)


def verify_with_authorities(
    authorities: Sequence[Path], files: Sequence[FileEntry], signature: bytes
) -> bool:
    """Check a signature made with a certificate; False: none of the authorities issued it.

    Args:
        authorities: PEM files; at least one, for none means all that browsers trust.
        files: What must be signed, no more and no less.
        signature: The signature file's bytes.

    Raises:
        ValueError: When it does not hold.
    """
    if not authorities:
        raise RuntimeError("no authorities were given")
    config = _library().verifying.Config().use_certificate_verifier(certificate_chain=authorities)
    try:
        _verify(config, files, signature)
    except ValueError as error:
        if type(error.__cause__).__name__ == "X509StoreContextError":
            return False
        raise
    return True


def sign_files(
    folder: Path,
    paths: Iterable[str],
    signature: Path,
    *,
    private_key: Path,
    password: str = "",
    certificate: Path | None = None,
    chain: Sequence[Path] = (),
) -> None:
    """Sign files of a folder.

    Args:
        folder: Where they are.
        paths: Their paths in it.
        signature: Where the signature goes; replaced whole.
        private_key: PEM file with the private key, on one of the curves P-256, P-384, P-521.
        password: The key's; empty: it has none. With a certificate there can be none.
        certificate: PEM file with its certificate; None: sign with the bare key.
        chain: PEM files with the certificates between it and the authority.

    Raises:
        ValueError: When the key, the certificate or a file cannot be used.
        OSError: When a file cannot be read or written.
    """
    library = _library()

    class Chosen(library.hashing.Config):  # type: ignore[misc, name-defined]
        """Digests the chosen files only."""

        def hash(self, model_path: Path, *, files_to_hash: object = None) -> Any:
            return super().hash(model_path, files_to_hash=[folder / path for path in paths])

    config = library.signing.Config().set_hashing_config(Chosen())
    try:
        if certificate is None:
            # It says text, and hands it on where bytes are wanted.
            config.use_elliptic_key_signer(
                private_key=private_key, password=password.encode() if password else None
            )
        else:
            config.use_certificate_signer(
                private_key=private_key,
                signing_certificate=certificate,
                certificate_chain=chain or (certificate,),  # it cannot read an empty one
            )
        with tempfile.TemporaryDirectory(prefix="tame-sign-") as aside:
            written = Path(aside) / signature.name
            config.sign(folder, written)
            replace_file(signature, written.read_bytes())
    except AttributeError as error:
        raise ValueError("the key is none on an elliptic curve") from error
    except TypeError as error:
        raise ValueError("the key has a password, or has none and one was given") from error


def _verify(config: Any, files: Sequence[FileEntry], signature: bytes) -> None:
    library = _library()
    kind = library.manifest.SerializationType.from_args(
        {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    )
    digest = library.manifest.hashing.Digest
    items = [
        kind.new_item(file.path, digest("sha256", bytes.fromhex(file.sha256))) for file in files
    ]

    class Known(library.hashing.Config):  # type: ignore[misc, name-defined]
        """Gives digests that were computed when the files came."""

        def hash(self, model_path: object, *, files_to_hash: object = None) -> Any:
            return library.manifest.Manifest("revision", items, kind)

        def add_ignored_paths(self, **_: object) -> None:
            """Ignore nothing: what is in the manifest must be signed, whoever signed."""

    config.set_hashing_config(Known())
    with tempfile.NamedTemporaryFile(prefix="tame-verify-", suffix=".sig") as file:
        file.write(signature)
        file.flush()
        try:
            config.verify(Path("revision"), file.name)
        except Exception as error:
            raise ValueError(_said(error)) from error


def _library() -> Any:
    import model_signing

    return model_signing


def _said(error: Exception) -> str:
    """Say what is wrong; other errors than the library's own say nothing to a person."""
    known = type(error) is ValueError and str(error)
    return known or "it was not made with that key, or is damaged"
