"""`tame audit export`: all records for another program, or for another place."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.audit_archive import opened
from tame_router.cli.stranger_text import plain

if TYPE_CHECKING:
    from tame_router.audit.reading import Reading
    from tame_router.cli.audit_archive import Books

EPILOG = """\
JSONL holds everything that `tame audit verify --file` needs, and no text of a question or
an answer. Parquet holds the answers alone and takes the extra `parquet`.
A line that is no record, because someone changed it, is named, and the exit code is 1: JSONL
holds it as it was found, Parquet leaves it out.

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
    from tame_router.audit.reading import Reading
    from tame_router.cli.output_file import check_writable
    from tame_router.errors import InvalidRequestError

    out, reading = arguments.out, Reading()
    if out is None:
        if arguments.format == "parquet":
            raise InvalidRequestError("Parquet is not for a screen; give --out FILE")
        with opened(arguments) as books:
            for line in books.lines():
                reading.take(line)
                sys.stdout.write(f"{line}\n")
        return _tell_faults(reading)
    check_writable(out)
    aside = out.with_name(f".{out.name}.part")
    try:
        with opened(arguments) as books:
            records = _write(books, aside, arguments.format, reading)
        aside.replace(out)
    except OSError as error:
        raise InvalidRequestError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
    told = {"file": str(out), "records": records}
    text = json.dumps(told) if arguments.json else f"{records} records in {out}"
    sys.stdout.write(f"{text}\n")
    return _tell_faults(reading)


def _tell_faults(reading: "Reading") -> int:
    """Name what is no record, and give the exit code."""
    for fault in reading.faults:
        where = f"chain {fault.chain}: " if fault.chain else ""
        sys.stderr.write(plain(f"{where}{fault.message}") + "\n")
    return 1 if reading.faults else 0


def _write(books: "Books", path: Path, form: str, reading: "Reading") -> int:
    if form == "parquet":
        from tame_router.audit.parquet import write_parquet

        return write_parquet(path, books.archive.lines(), reading)
    # Half a surrogate pair can stand in what was changed alone.
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for line in books.lines():
            reading.take(line)
            file.write(f"{line}\n")
    return reading.records
