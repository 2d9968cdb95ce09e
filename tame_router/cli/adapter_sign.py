"""`tame adapter sign | verify`: a folder's signature, made and checked on this machine."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from tame_router.cli.adapter_desk import finding_text
from tame_router.cli.arguments import Commands, add_command, add_json
from tame_router.cli.server_access import read_text_file
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import write_json

EPILOG = """\
The signature is OpenSSF's (model-signing), over the files that are uploaded. Sign after
the last change to them; whose signatures count for a tenant is in the router's settings
(registry.signing, registry.signers).

examples:
  tame adapter sign out/legal --key partner.key.pem
  tame adapter sign out/legal --key partner.key.pem --certificate partner.pem --chain ca.pem
  tame adapter verify out/legal --key partner.pub.pem
  tame adapter verify out/legal --authority root.pem --json
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    sign = add_command(commands, "sign", summary="sign an adapter's folder", epilog=EPILOG)
    sign.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the private key (PEM)"
    )
    sign.add_argument("--certificate", type=Path, metavar="FILE", help="its certificate (PEM)")
    sign.add_argument(
        "--chain",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a certificate between that one and the authority; may be given several times",
    )
    sign.add_argument(
        "--password-file", type=Path, metavar="FILE", help="file with the key's password"
    )
    verify = add_command(
        commands, "verify", summary="check the signature of an adapter's folder", epilog=EPILOG
    )
    for option, text in (
        ("--key", "a public key (PEM) whose signatures count; may be given several times"),
        ("--authority", "an authority (PEM) whose certificates count; likewise"),
    ):
        verify.add_argument(
            option, type=Path, action="append", default=[], metavar="FILE", help=text
        )
    for parser, run in ((sign, run_sign), (verify, run_verify)):
        parser.add_argument("folder", type=Path, metavar="DIR", help="the adapter's folder")
        parser.add_argument(
            "--all", action="store_true", help="whatever the folder holds, as `upload --all` sends"
        )
        add_json(parser)
        parser.set_defaults(run=run)


def run_sign(arguments: argparse.Namespace) -> int:
    """Sign a folder."""
    from tame_router.registry.signing.folder_signing import sign_folder

    password = ""
    if arguments.password_file:
        password = read_text_file(arguments.password_file, "--password-file").rstrip("\r\n")
    paths = _paths(arguments)
    signature = sign_folder(
        arguments.folder,
        arguments.key,
        paths=paths,
        password=password,
        certificate=arguments.certificate,
        chain=arguments.chain,
    )
    if arguments.json:
        write_json({"signature": str(signature), "files": paths})
    else:
        sys.stdout.write(plain(f"{signature} signs {', '.join(paths)}") + "\n")
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Check a folder's signature; exits 1 where it is none that counts."""
    from tame_router.config_registry import SigningSettings
    from tame_router.errors import InvalidRequestError
    from tame_router.registry.signing.folder_signing import check_folder
    from tame_router.registry.signing.signing_policy import read_policy

    if not arguments.key and not arguments.authority:
        raise InvalidRequestError("give --key or --authority: whose signatures are to count")
    settings = SigningSettings(
        policy="required",
        public_keys=tuple(arguments.key),
        certificates=tuple(arguments.authority),
    )
    verdict = check_folder(
        arguments.folder, read_policy(settings), datetime.now(UTC), paths=_paths(arguments)
    )
    if arguments.json:
        import dataclasses

        write_json(dataclasses.asdict(verdict))
    else:
        for finding in verdict.findings:
            sys.stdout.write(plain(finding_text(finding)) + "\n")
        if verdict.signer:
            sys.stdout.write(plain(f"signed by {verdict.signer}") + "\n")
    return 0 if verdict.signer else 1


def _paths(arguments: argparse.Namespace) -> list[str]:
    """Give the files that an upload sends, but for the signature itself.

    Raises:
        InvalidRequestError: As an upload would, at a link or a folder without an adapter.
    """
    from tame_router.client.adapter_folder import read_folder
    from tame_router.registry.revision_file import SIGNATURE_PATH

    files = read_folder(arguments.folder, everything=arguments.all).files
    return [file.path for file in files if file.path != SIGNATURE_PATH]
