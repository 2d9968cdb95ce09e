"""Replies that a run of `bench/join_quality.py` kept: for programs, and for reading."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.join_table import pages
from bench.pair_question import PairQuestion
from bench.pair_score import Reply


def read_replies(path: Path) -> list[Reply]:
    """Read replies that were kept.

    Raises:
        ValueError: When a line is none.
        OSError: When the file cannot be read.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Reply(**{**row, "experts": tuple(row["experts"])}) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: holds something else than replies: {error}") from error


def keep(folder: Path, questions: Sequence[PairQuestion], replies: Sequence[Reply]) -> None:
    """Write answers for programs and for people."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(reply), ensure_ascii=False) + "\n" for reply in replies]
    (folder / "replies.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "answers.md").write_text(pages(questions, replies), encoding="utf-8")
