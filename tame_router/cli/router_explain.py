"""`tame router explain`."""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tame_router.cli.arguments import Commands, add_command, add_config, add_json
from tame_router.cli.stranger_text import shown

if TYPE_CHECKING:
    from tame_router.routing.decision import Decision, Feature

REASONS = {
    "MOST_PROBABLE": "it is the most probable expert",
    "BELOW_THRESHOLD": "no expert is probable enough, and it is the fallback",
    "FALLBACK_PLAUSIBLE": "the fallback could not be ruled out, and it is the fallback",
    "FALLBACK_NOT_ALLOWED": "no expert is probable enough, and the fallback may not answer",
    "ONLY_ALLOWED": "no other expert may answer",
    "PINNED": "the caller named it",
}

STAGES = {
    "fast": "the lexical model, which reads characters and words",
    "encoder": "the dense encoder, which looks again where the lexical model is unsure",
}

LANGUAGES = {"zh-TW": "Chinese", "zh-CN": "Simplified Chinese", "en": "English"}

EPILOG = """\
A feature's weight is in logits: how much those characters or words speak for the expert
that leads, more than for the others; below 0 they speak against it.

examples:
  tame router explain "手術失敗可以告醫院嗎？"
  tame router explain "Can I sue the hospital?" --json
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "explain", summary="tell why it decides as it does", epilog=EPILOG
    )
    parser.add_argument("text", help="a question")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decide about the text, and say why.

    Raises:
        InvalidRequestError: When the text is blank or holds what is no character.
    """
    from tame_router import app
    from tame_router.config_file import load_settings
    from tame_router.evaluation.outcome import decide
    from tame_router.evaluation.rows import check_row
    from tame_router.telemetry import log
    from tame_router.trained_router import build_router

    check_row("text", {"text": arguments.text})
    settings = load_settings(arguments.config)
    log.configure(settings.log)  # tells when the router has to be trained first
    router = build_router(settings, app.build_catalog(settings))
    decision = decide(router, arguments.text, explain=True)
    if arguments.json:
        document = _document(arguments.text, decision)
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        _show(arguments.text, decision)
    return 0


def _document(text: str, decision: "Decision") -> dict[str, Any]:
    return {
        "text": text,
        "expert": decision.lead,
        "experts": [chosen.expert for chosen in decision.experts],
        "probabilities": {p.expert: round(p.probability, 6) for p in decision.probabilities},
        "stage": str(decision.stage),
        "reason": str(decision.reason),
        "language": decision.language,
        "features_for": _weights(f for f in decision.features if f.weight > 0),
        "features_against": _weights(f for f in decision.features if f.weight <= 0),
        "elapsed_us": decision.elapsed_us,
        "classifier_digest": decision.classifier_digest,
    }


def _weights(features: "Iterable[Feature]") -> list[dict[str, Any]]:
    return [{"text": f.text, "weight": round(f.weight, 6)} for f in features]


def _show(text: str, decision: "Decision") -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    lead = shown(decision.lead)
    reason, stage = str(decision.reason), str(decision.stage)
    language = LANGUAGES.get(decision.language, decision.language)
    console.print(f"[bold]{shown(text)}[/]\n")
    console.print(f"[bold cyan]{lead}[/] answers: {REASONS.get(reason, reason)}.")
    if others := [chosen.expert for chosen in decision.experts[1:]]:
        console.print(f"Selected beside it: {shown(', '.join(others))}.")
    console.print(f"Read as {shown(language)}; decided by {STAGES.get(stage, stage)}.\n")
    for p in decision.probabilities:
        bar = "█" * round(p.probability * 30)
        style = "cyan" if p.expert == decision.lead else "dim"
        console.print(f"  [{style}]{shown(p.expert):<16} {p.probability:6.1%} {bar}[/]")
    console.print()
    for words, features in (
        ("for", [f for f in decision.features if f.weight > 0]),
        ("against", [f for f in decision.features if f.weight <= 0]),
    ):
        listed = ", ".join(f"「{f.text}」{f.weight:+.2f}" for f in features)
        console.print(f"Speaks {words} {lead}: {shown(listed) or 'nothing'}.")
