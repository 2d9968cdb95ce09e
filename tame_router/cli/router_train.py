"""`tame router train`."""

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from tame_router.cli.arguments import Commands, add_command, add_config, add_json

if TYPE_CHECKING:
    from tame_router.routing.artefact import Artefact
    from tame_router.trained_router import Lesson

EPILOG = """\
`serve` trains by itself when the teaching lines have changed; train ahead to start fast.

examples:
  tame router train
  tame router train --if-needed
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "train", summary="train it from the experts' utterances", epilog=EPILOG
    )
    parser.add_argument(
        "--if-needed",
        action="store_true",
        help="only where lines, experts or encoder have changed since it was trained",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, and say how good it is."""
    from tame_router import app
    from tame_router.config_file import load_settings
    from tame_router.teaching.training import Progress
    from tame_router.trained_router import plan_lesson, train_router

    settings = load_settings(arguments.config)

    def show(progress: Progress) -> None:
        if not arguments.json:
            sys.stderr.write(f"[{progress.done}/{progress.steps}] {progress.message}\n")

    begun = time.perf_counter()
    lesson = plan_lesson(settings, app.build_catalog(settings))
    kept = _trained(lesson) if arguments.if_needed else None
    artefact = kept or train_router(lesson, show)
    facts = {
        "trained": kept is None,
        "digest": artefact.digest,
        "folder": str(lesson.artefact_dir),
        "experts": list(artefact.parameters.labels),
        "lines": artefact.measures.lines,
        "accuracy": artefact.measures.accuracy,
        "calibration_error": artefact.measures.calibration_error,
        "seconds": round(time.perf_counter() - begun, 2),
    }
    if arguments.json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
        return 0
    accuracy = ", ".join(f"{tag} {share:.1%}" for tag, share in artefact.measures.accuracy.items())
    when = "before, and nothing has changed" if kept else f"in {facts['seconds']} s"
    sys.stdout.write(
        f"trained on {artefact.measures.lines:,} lines {when}\n"
        f"held-out accuracy: {accuracy};"
        f" calibration error {artefact.measures.calibration_error:.3f}\n"
        f"digest {artefact.digest[:16]} in {facts['folder']}\n"
    )
    return 0


def _trained(lesson: "Lesson") -> "Artefact | None":
    """Give what is trained already from these lines; None: there is nothing, or it is stale."""
    from tame_router.errors import ArtefactError
    from tame_router.trained_router import build_encoder, load_trained

    try:
        return load_trained(lesson, build_encoder(lesson))
    except ArtefactError as stale:
        sys.stderr.write(f"training: {stale.message}\n")
        return None
