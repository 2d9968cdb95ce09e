"""Arguments for reaching a router that asks who calls."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.errors import InvalidRequestError

if TYPE_CHECKING:
    from tame_router.client.connection import ConnectionOptions

KEY_VARIABLE = "TAME_API_KEY"


def add_access(parser: argparse.ArgumentParser) -> None:
    """Let a command show who calls, and secure the way. A key is never an argument."""
    group = parser.add_argument_group("access")
    group.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help=f"file with the API key (default: ${KEY_VARIABLE}, else no key)",
    )
    group.add_argument(
        "--tls", action="store_true", help="use TLS, with the authorities of the system"
    )
    group.add_argument(
        "--tls-ca", type=Path, metavar="FILE", help="use TLS, with the authorities in this PEM file"
    )
    group.add_argument(
        "--cert", type=Path, metavar="FILE", help="use TLS, and show this client certificate (PEM)"
    )
    group.add_argument(
        "--cert-key", type=Path, metavar="FILE", help="the private key of --cert (PEM)"
    )


def connection_options(arguments: argparse.Namespace) -> "ConnectionOptions":
    """Give what a client connects with.

    Raises:
        InvalidRequestError: When the key's file cannot be read or is empty, or a certificate
            comes without its key.
    """
    from tame_router.client.connection import Tls

    if (arguments.cert is None) != (arguments.cert_key is None):
        raise InvalidRequestError("--cert and --cert-key go together; give both")
    options: ConnectionOptions = {"api_key": _key(arguments.key_file)}
    if arguments.tls or arguments.tls_ca or arguments.cert:
        options["tls"] = Tls(
            root_certificates=arguments.tls_ca,
            certificate=arguments.cert,
            key=arguments.cert_key,
        )
    return options


def read_text_file(path: Path, argument: str) -> str:
    """Read a file that an argument names.

    Raises:
        InvalidRequestError: When it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequestError(f"{argument} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{argument} {path}: is not UTF-8 text") from None


def _key(path: Path | None) -> str:
    if path is None:
        return os.environ.get(KEY_VARIABLE, "").strip()
    key = read_text_file(path, "--key-file").strip()
    if not key:
        raise InvalidRequestError(f"--key-file {path}: is empty; expected the API key")
    return key
