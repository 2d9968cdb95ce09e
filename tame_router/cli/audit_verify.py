"""`tame audit verify`: is every record there, and as it was written?"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.audit_archive import opened
from tame_router.cli.stranger_text import plain

if TYPE_CHECKING:
    from tame_router.audit.chain import Seen
    from tame_router.audit.pruning import Prune
    from tame_router.audit.verification import Fault, Verification

EPILOG = """\
Records of answers and of changes of tenants, and the moves of adapters' labels, are chains. Exits
1 where one of them was changed, is missing, or was put in. A head that was written
somewhere else earlier also shows what someone with the whole database has written anew, or
dropped although it was younger than audit.retention_days.

examples:
  tame audit verify
  tame audit verify --write-head /mnt/other/heads.jsonl
  tame audit verify --head /mnt/other/heads.jsonl
  tame audit verify --file export.jsonl
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "verify", summary="prove that no record or move was touched", epilog=EPILOG
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="an export, not the database")
    parser.add_argument("--head", type=Path, metavar="FILE", help="heads that were written earlier")
    parser.add_argument("--write-head", type=Path, metavar="FILE", help="write the heads here")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read all records, and say what is wrong."""
    from tame_router.audit.export import seen_line
    from tame_router.audit.verification import Verification
    from tame_router.cli.output_file import check_writable, write_file
    from tame_router.config_file import load_settings

    if arguments.write_head:
        check_writable(arguments.write_head)
    settings = load_settings(arguments.config)
    verification = Verification(
        expected=_seen(arguments.head),
        prunable=datetime.now(UTC) - timedelta(days=settings.audit.retention_days),
    )
    with _opened(arguments) as (lines, compare):
        for line in lines:
            verification.take(line)
        beside = compare()
    faults = [*verification.finish(), *beside]
    if arguments.write_head and not faults:
        text = "".join(f"{seen_line(seen)}\n" for seen in verification.seen)
        write_file(arguments.write_head, text)
    _tell(verification, faults, as_json=arguments.json)
    return 1 if faults else 0


def _seen(path: Path | None) -> "list[Seen]":
    from tame_router.audit.export import read_seen
    from tame_router.errors import InvalidRequestError

    if path is None:
        return []
    try:
        return [read_seen(line) for line in path.read_text("utf-8").splitlines()]
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, OverflowError):
        raise InvalidRequestError(
            f"{path}: is not what `tame audit verify --write-head` writes"
        ) from None


@contextmanager
def _opened(
    arguments: argparse.Namespace,
) -> "Iterator[tuple[Iterable[str], Callable[[], list[Fault]]]]":
    """Give the lines to prove, and what compares with them what lies beside."""
    from tame_router.errors import InvalidRequestError

    if arguments.file is None:
        with opened(arguments) as books:
            yield books.lines(), lambda: [*books.archive.compare(), *books.labels.compare()]
        return
    try:
        with arguments.file.open(encoding="utf-8", errors="replace", newline="\n") as file:
            yield (line.removesuffix("\n") for line in file), list
    except OSError as error:
        raise InvalidRequestError(f"{arguments.file}: {error.strerror}") from error


def _tell(verification: "Verification", faults: "list[Fault]", *, as_json: bool) -> None:
    from dataclasses import asdict

    records, chains = verification.records, verification.chains
    if as_json:
        facts = {
            "ok": not faults,
            "records": records,
            "chains": chains,
            "pruned": [_prune_facts(prune) for prune in verification.prunes],
            "faults": [asdict(fault) for fault in faults],
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    for fault in faults:
        where = f"chain {fault.chain}: " if fault.chain else ""
        sys.stderr.write(plain(f"{where}{fault.message}") + "\n")
    verdict = _number(len(faults), "fault") if faults else "nothing was touched"
    sys.stdout.write(f"{_number(records, 'record')} in {_number(chains, 'chain')}: {verdict}\n")
    if verification.prunes:
        last = verification.prunes[-1]
        dropped = _number(sum(prune.records for prune in verification.prunes), "record")
        told = f"{dropped} pruned; last {_day(last.time)} by {last.by}, before {_day(last.before)}"
        sys.stdout.write(plain(told) + "\n")


def _prune_facts(prune: "Prune") -> dict[str, object]:
    return {
        "chain": prune.end.chain,
        "seq": prune.end.seq,
        "records": prune.records,
        "time": prune.time.isoformat(),
        "before": prune.before.isoformat(),
        "retention_days": prune.retention.days,
        "by": prune.by,
    }


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
