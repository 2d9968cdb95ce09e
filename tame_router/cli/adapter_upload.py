"""`tame adapter upload | validate`: a folder goes to a running router."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.cli.adapter_desk import (
    add_router,
    add_waiting,
    connected,
    finding_text,
    label_facts,
    label_text,
    revision_facts,
    share,
    size_text,
    tell,
)
from tame_router.cli.arguments import Commands, add_command
from tame_router.cli.stranger_text import plain
from tame_router.cli.tenant_desk import write_json
from tame_router.errors import InvalidRequestError

if TYPE_CHECKING:
    from tame_router.client.adapter import Label, UploadProgress
    from tame_router.client.adapter_folder import AdapterFolder
    from tame_router.client.adapter_upload import ProgressCallback

EPILOG = """\
Of the folder the files of a revision are sent, and nothing else; a link is refused. An
upload that breaks is taken up where it broke, also by the same command later. The verdict
goes to standard output; exits 1 where the revision is refused.

examples:
  tame adapter validate out/legal --expert legal
  tame adapter upload out/legal --expert legal
  tame adapter upload out/legal --expert legal --canary 0.1
  tame adapter upload out/legal --expert legal --publish --json
  tame adapter upload out/legal --expert legal --no-wait
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    upload = add_command(
        commands, "upload", summary="upload an adapter, and see it evaluated", epilog=EPILOG
    )
    validate = add_command(
        commands, "validate", summary="have an adapter checked, and keep nothing", epilog=EPILOG
    )
    for parser, run in ((upload, run_upload), (validate, run_validate)):
        parser.add_argument("folder", type=Path, metavar="DIR", help="the adapter's folder")
        parser.add_argument("--expert", required=True, metavar="NAME", help="whose it is")
        parser.add_argument(
            "--all", action="store_true", help="send whatever the folder holds, folders too"
        )
        parser.add_argument(
            "--base-model-digest",
            default="",
            metavar="HEX",
            help="SHA-256 of the base model's manifest that it was trained on",
        )
        parser.set_defaults(run=run)
        add_router(parser)
    upload.add_argument("--publish", action="store_true", help="publish it, if it may be")
    upload.add_argument(
        "--canary", type=share, metavar="SHARE", help="the same, for a share of the conversations"
    )
    upload.add_argument(
        "--request-id", default="", metavar="ID", help="names the upload (default: its files do)"
    )
    add_waiting(upload, "the verdict")


def run_upload(arguments: argparse.Namespace) -> int:
    """Upload, wait for the verdict, show it, and publish where that is wanted."""
    from tame_router.cli.adapter_screen import show_revision
    from tame_router.cli.adapter_verdict import wait_for_verdict
    from tame_router.client.adapter import UNDECIDED, RevisionState

    publish = arguments.publish or arguments.canary is not None
    if publish and not arguments.wait:
        raise InvalidRequestError(
            "--no-wait and --publish: nothing can be published before it is approved; wait, or"
            " publish it later with `tame adapter publish`"
        )
    folder = _read(arguments)
    label: Label | None = None
    with connected(arguments) as client:
        with _bar(folder, hidden=arguments.json) as progress:
            revision = client.adapters.upload(
                folder,
                arguments.expert,
                progress=progress,
                request_id=arguments.request_id,
                base_model_digest=arguments.base_model_digest,
            )
        tell(f"uploaded {revision.name}, {size_text(revision.size_bytes)}")
        if arguments.wait and revision.state in UNDECIDED:
            revision = wait_for_verdict(client, revision.name, arguments.timeout)
        # One that is retired, or a canary, was approved once; the router refuses what may not be.
        if publish and revision.state is not RevisionState.REJECTED:
            published = client.adapters.publish(revision.name, canary_share=arguments.canary)
            label = published.label
            # Its state has changed; its report is not sent again.
            revision = replace(published.revision, report=revision.report)
    if arguments.json:
        write_json({**revision_facts(revision), "label": label and label_facts(label)})
    else:
        show_revision(revision)
        if label:
            sys.stdout.write(plain(label_text(label)) + "\n")
    return 1 if revision.state is RevisionState.REJECTED else 0


def run_validate(arguments: argparse.Namespace) -> int:
    """Have a folder checked; exits 1 where it would be refused."""
    folder = _read(arguments)
    with connected(arguments) as client:
        checked = client.adapters.validate(
            folder, arguments.expert, base_model_digest=arguments.base_model_digest
        )
    if arguments.json:
        import dataclasses

        write_json({**dataclasses.asdict(checked), "refused": checked.refused})
        return int(checked.refused)
    for finding in checked.findings:
        sys.stdout.write(plain(finding_text(finding)) + "\n")
    verdict = "would be refused" if checked.refused else "is in order"
    sys.stdout.write(plain(f"{checked.name} {verdict}") + "\n")
    return int(checked.refused)


def _read(arguments: argparse.Namespace) -> "AdapterFolder":
    from tame_router.client.adapter_folder import read_folder

    folder = read_folder(arguments.folder, everything=arguments.all)
    if folder.left_out:
        tell(f"left out, and sent with --all: {', '.join(folder.left_out)}")
    return folder


@contextmanager
def _bar(folder: "AdapterFolder", *, hidden: bool) -> "Iterator[ProgressCallback | None]":
    """Show on standard error what is received, where that is a terminal."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=folder.size_bytes)

        def told(received: "UploadProgress") -> None:
            progress.update(task, completed=received.received_bytes)

        yield told
