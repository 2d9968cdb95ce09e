"""`tame router add`: what a new domain would change; nothing is activated unless asked."""

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.stranger_text import shown
from tame_router.errors import InvalidRequestError

if TYPE_CHECKING:
    from rich.console import Console

    from tame_router.domain_preview import Preview
    from tame_router.teaching.collision import Collision

SHOWN = 10
"""Questions of each kind that are shown; JSON has all."""

EPILOG = """\
FOLDER holds utterances.zh-TW.txt and utterances.en.txt, 20 to 50 lines; its name is the
domain's. The trained router is extended in memory, and nothing is changed. With --activate,
FOLDER has to stand in the experts folder with its expert.yaml; the service uses the
extended router from its next start on, until `tame router train` trains it whole.

examples:
  tame router add drafts/insurance
  tame router add drafts/insurance --traffic asked.jsonl --json
  tame router add experts/insurance --activate
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "add", summary="preview a new domain; --activate makes it count", epilog=EPILOG
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the new domain's lines")
    parser.add_argument(
        "--traffic",
        type=Path,
        metavar="FILE",
        help="questions asked so far: JSON lines with `text`",
    )
    parser.add_argument("--activate", action="store_true", help="replace the trained router")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Preview, show the collisions, and activate where asked.

    Raises:
        InvalidRequestError: When the traffic cannot be read.
        ConfigError: When the folder cannot be used, or may not be activated.
    """
    from tame_router import app
    from tame_router.config_file import load_settings
    from tame_router.domain_preview import activate, preview, refusal
    from tame_router.errors import CatalogError

    traffic = _read_traffic(arguments.traffic) if arguments.traffic else []
    settings = load_settings(arguments.config)
    catalog = app.build_catalog(settings)
    label = arguments.folder.resolve().name
    if arguments.activate and label not in catalog.names:
        raise CatalogError(refusal(label))
    seen = preview(settings, catalog, arguments.folder, traffic)
    if arguments.activate:
        activate(seen, catalog)
    if arguments.json:
        document = _document(seen, activated=arguments.activate)
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        _show(seen, activated=arguments.activate)
    return 0


def _read_traffic(path: Path) -> list[str]:
    from tame_router.evaluation.rows import open_rows, read_rows

    texts = [row.values["text"] for row in read_rows(path, open_rows(path))]
    if not texts:
        raise InvalidRequestError(f"{path}: holds no question; give one JSON object a line")
    return texts


def _document(seen: "Preview", *, activated: bool) -> dict[str, Any]:
    return {
        "domain": seen.extension.label,
        "lines": seen.extension.lines,
        "recall": round(seen.extension.recall, 4),
        "seconds": round(seen.seconds, 2),
        "digest": seen.extension.artefact.digest,
        "activated": activated,
        "teaching_lines": [_facts(c) for c in seen.lines],
        "traffic": [_facts(c) for c in seen.traffic],
        "near_duplicates": [
            {
                "line": d.line.text,
                "expert": d.other.expert,
                "other": d.other.text,
                "similarity": round(d.similarity, 3),
            }
            for d in seen.duplicates
        ],
    }


def _facts(collision: "Collision") -> dict[str, Any]:
    facts = dataclasses.asdict(collision)
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in facts.items()}


def _show(seen: "Preview", *, activated: bool) -> None:

    from tame_router.cli.report_screen import wide_console

    console, extension = wide_console(), seen.extension
    console.print(
        f"[bold]{shown(extension.label)}[/]: {extension.lines} lines learnt in"
        f" {seen.seconds:.2f} s; it leads {extension.recall:.0%} of its own where they are held out"
    )
    for title, found in (("teaching lines", seen.lines), ("traffic", seen.traffic)):
        captured = [c for c in found if c.captured]
        _show_collisions(console, f"{title} it would take", captured)
        _show_collisions(
            console, f"{title} it would make ambiguous", [c for c in found if not c.captured]
        )
    console.print(f"\n[bold]{len(seen.duplicates)} near-duplicates in other domains[/]")
    for d in seen.duplicates[:SHOWN]:
        console.print(
            shown(f"  {d.similarity:.0%} {d.line.text} = {d.other.expert}: {d.other.text}")
        )
    done = f"activated: {extension.artefact.digest[:16]}, from the service's next start on"
    console.print(f"\n{done if activated else 'nothing was activated; --activate does'}")


def _show_collisions(console: "Console", title: str, found: "Sequence[Collision]") -> None:

    counts = ", ".join(f"{name} {n}" for name, n in Counter(c.lead for c in found).most_common())
    console.print(f"\n[bold]{len(found)} {title}[/]{f': {shown(counts)}' if counts else ''}")
    for c in found[:SHOWN]:
        text = shown(" ".join(c.text.split()))
        console.print(f"  {c.lead} {c.before:.1%} → {c.after:.1%}, new {c.new:.1%}  [dim]{text}[/]")
