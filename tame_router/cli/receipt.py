"""`tame receipt`: make the key that signs receipts, and prove a receipt."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tame_router.cli.arguments import Commands, add_command, add_json
from tame_router.cli.stranger_text import plain

EPILOG = """\
examples:
  tame receipt key receipts.pem > receipts.pub.pem
  tame receipt verify --key receipts.pub.pem "$RECEIPT" --request asked.json --answer answer.txt
"""


def add(commands: Commands) -> None:
    """Add the command and what is below it."""
    parser = add_command(commands, "receipt", summary="signed receipts of answers", epilog=EPILOG)
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    key = add_command(below, "key", summary="make a pair of keys", epilog=EPILOG)
    key.add_argument("file", type=Path, metavar="FILE", help="new file for the private key")
    add_json(key)
    key.set_defaults(run=run_key)
    verify = add_command(below, "verify", summary="prove a receipt", epilog=EPILOG)
    verify.add_argument("receipt", metavar="RECEIPT", help="the receipt, or - to read it")
    verify.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="the signer's public key, PEM"
    )
    verify.add_argument("--request", type=Path, metavar="FILE", help="what was asked, JSON")
    verify.add_argument("--answer", type=Path, metavar="FILE", help="the answer's text")
    add_json(verify)
    verify.set_defaults(run=run_verify)


def run_key(arguments: argparse.Namespace) -> int:
    """Make the pair; the public part goes to standard output."""
    from tame_router.receipt.key import make_key

    public = make_key(arguments.file)
    sys.stdout.write(json.dumps({"public_key": public}) + "\n" if arguments.json else public)
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Prove it, and compare what is given with what it says."""
    from tame_router.errors import InvalidRequestError
    from tame_router.receipt.key import load_public
    from tame_router.receipt.receipt import read_receipt

    key = load_public(arguments.key)
    given = sys.stdin.read() if arguments.receipt == "-" else arguments.receipt
    claims: dict[str, Any] = {}
    try:
        claims = read_receipt(given.strip(), key)
        faults = _compare(arguments, claims)
    except InvalidRequestError as error:
        if claims:
            raise
        faults = [error.message]
    if arguments.json:
        told = {"ok": not faults, "faults": faults, "receipt": claims or None}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        for fault in faults:
            sys.stderr.write(plain(fault) + "\n")
        for name, value in claims.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            sys.stdout.write(plain(f"{name:<18}{text}") + "\n")
    return 1 if faults else 0


def _compare(arguments: argparse.Namespace, claims: dict[str, Any]) -> list[str]:
    from tame_router.canonical_json import digest, sha256_hex

    faults = []
    if arguments.request:
        found = digest(_request(arguments.request))
        if found != claims.get("request_digest"):
            faults.append(f"the request does not match: its digest is {found}")
    if arguments.answer:
        found = sha256_hex(_read(arguments.answer))
        if found != claims.get("answer_digest"):
            faults.append(f"the answer does not match: its digest is {found}")
    return faults


def _request(path: Path) -> Any:
    from tame_router.errors import InvalidRequestError

    try:
        return json.loads(_read(path))
    except ValueError:
        raise InvalidRequestError(f"{path}: is not JSON; docs/receipts.md shows its form") from None


def _read(path: Path) -> bytes:
    from tame_router.errors import InvalidRequestError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror}") from error
