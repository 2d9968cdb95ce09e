"""`tame audit export`: all records for another program, or for another place."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.audit_archive import opened

if TYPE_CHECKING:
    from tame_router.audit.archive import Archive

EPILOG = """\
JSONL holds everything that `tame audit verify --file` needs, and no text of a question or
an answer. Parquet holds the answers alone and takes the extra `parquet`.

examples:
  tame audit export --out audit.jsonl
  tame audit export --format parquet --out audit.parquet
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "export", summary="write all records", epilog=EPILOG)
    parser.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl", help="its form")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to (default: to the screen)"
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write them, in pieces."""
    from tame_router.cli.output_file import check_writable
    from tame_router.errors import InvalidRequestError

    out = arguments.out
    if out is None:
        if arguments.format == "parquet":
            raise InvalidRequestError("Parquet is not for a screen; give --out FILE")
        with opened(arguments) as (archive, _settings):
            sys.stdout.writelines(f"{line}\n" for line in archive.lines())
        return 0
    check_writable(out)
    aside = out.with_name(f".{out.name}.part")
    try:
        with opened(arguments) as (archive, _settings):
            records = _write(archive, aside, arguments.format)
        aside.replace(out)
    except OSError as error:
        raise InvalidRequestError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
    told = {"file": str(out), "records": records}
    text = json.dumps(told) if arguments.json else f"{records} records in {out}"
    sys.stdout.write(f"{text}\n")
    return 0


def _write(archive: "Archive", path: Path, form: str) -> int:
    if form == "parquet":
        from tame_router.audit.parquet import write_parquet

        return write_parquet(path, archive.lines())
    records = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in archive.lines():
            file.write(f"{line}\n")
            records += json.loads(line)["kind"] not in {"chain", "head"}
    return records
