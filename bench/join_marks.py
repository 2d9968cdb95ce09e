"""What a reader thought of answers to two-domain questions: the table of the marks given.

    python bench/join_marks.py [--json] [--fill docs/joins.md] [--replies FILE] [--marks FILE]

`experts/pairs.marks.jsonl` holds them, one answer a line:

    {"question": "legal-medical-01", "way": "join panel", "sides": 2, "right": 0, "readable": 1,
     "text": "3f0a9c1e"}

Each of the three is 0, 1 or 2; what for stands at `Mark`. `text` is the beginning of the SHA-256
of the answer that was read: `--replies`, the answers that `bench/join_quality.py` kept, tells how
many marks are of other answers than those. `--fill FILE` puts the tables between the marks of a
page.

Exit codes: 0 done; 1 a file cannot be used, 2 wrong use.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.kept_replies import read_replies
from bench.page_place import Place
from bench.pair_question import ROOT, PairQuestion, read_pair_questions
from tame_router.errors import TameError
from tame_router.evaluation.bootstrap import Estimate, difference, estimate, mean

MARKS = ROOT / "experts" / "pairs.marks.jsonl"
SINGLE = "join single"
"""What every other way is compared with."""

PLACE = Place(begin="<!-- marks: written by bench/join_marks.py -->", end="<!-- /marks -->")
HEAD = (
    "| way | answers read | sides | right | readable | in all | beside `single` "
    "| both sides, nothing wrong |\n|---|" + "--:|" * 7
)

_Points = Annotated[int, Field(ge=0, le=2)]


class Mark(BaseModel):
    """What one answer got.

    Attributes:
        question: Id of the question.
        way: How it was asked.
        sides: 2: says something of either domain's side of the question, right or wrong; 1: of
            one side; 0: of none.
        right: 2: nothing untrue, and something of use to who asks; 1: nothing plainly untrue, and
            nothing of use beyond "ask a doctor, ask a lawyer"; 0: plainly untrue, invented, or
            without sense.
        readable: 2: whole sentences in the question's language; 1: repeats, breaks off, leaves
            headings empty or mixes languages, and can be read; 0: cannot be read, or only repeats
            the question.
        text: First eight hexadecimal digits of the SHA-256 of the answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str
    way: str
    sides: _Points
    right: _Points
    readable: _Points
    text: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]

    @property
    def points(self) -> int:
        """All three together, 0 to 6."""
        return self.sides + self.right + self.readable


def digest(text: str) -> str:
    """Give what a mark knows an answer by."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def read_marks(path: Path = MARKS) -> tuple[Mark, ...]:
    """Read marks, in order.

    Raises:
        ValueError: When a line is no mark, or an answer has two; the message names the line.
        OSError: When the file cannot be read.
    """
    found: dict[tuple[str, str], Mark] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            mark = Mark.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise ValueError(f"{path}:{number}: {place}: {fault['msg']}") from error
        key = (mark.question, mark.way)
        if key in found:
            raise ValueError(f"{path}:{number}: {mark.question}, {mark.way} has a mark already")
        found[key] = mark
    return tuple(found.values())


def document(questions: Sequence[PairQuestion], marks: Iterable[Mark]) -> dict[str, Any]:
    """Give all figures as one JSON object: by `all` and language, and then by way.

    Args:
        questions: All there are.
        marks: What answers to some of them got, one a question and way.
    """
    languages = {question.id: question.lang for question in questions}
    known = [mark for mark in marks if mark.question in languages]
    groups: dict[str, dict[str, Any]] = {}
    for group in ("all", *dict.fromkeys(languages.values())):
        by_way: dict[str, dict[str, Mark]] = {}
        for mark in known:
            if group in {"all", languages[mark.question]}:
                by_way.setdefault(mark.way, {})[mark.question] = mark
        single = by_way.get(SINGLE, {})
        groups[group] = {way: _figures(given, single) for way, given in by_way.items()}
    return groups


def markdown(groups: Mapping[str, Any]) -> str:
    """Draw a table for each group of questions."""
    parts = []
    for group, ways in groups.items():
        rows = [_row(way, figures) for way, figures in ways.items()]
        parts.append(f"### Read: {group}\n\n{HEAD}\n" + "\n".join(rows))
    return "\n\n".join(parts)


def others(marks: Iterable[Mark], replies: Path) -> int:
    """Count the marks of answers that kept replies do not hold.

    Raises:
        ValueError: When the file holds something else than replies.
        OSError: When it cannot be read.
    """
    kept = {(reply.question, reply.way, digest(reply.text)) for reply in read_replies(replies)}
    return sum((mark.question, mark.way, mark.text) not in kept for mark in marks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        marks = read_marks(options.marks)
        found = document(read_pair_questions(), marks)
        drawn = markdown(found)
        if options.replies:
            told = f"{others(marks, options.replies)} of {len(marks)} marks are of other answers"
            print(told, file=sys.stderr)
        if options.fill:
            PLACE.fill_file(options.fill, drawn)
    except (TameError, ValueError, OSError) as error:
        print(f"bench/join_marks.py: {error}", file=sys.stderr)
        return 1
    print(drawn)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    return 0


def _figures(given: Mapping[str, Mark], single: Mapping[str, Mark]) -> dict[str, Any]:
    found: dict[str, Any] = {"read": len(given)}
    for name in ("sides", "right", "readable", "points"):
        found[name] = round(float(np.mean([getattr(mark, name) for mark in given.values()])), 3)
    whole = [mark.sides == 2 and mark.right > 0 for mark in given.values()]
    found["whole"] = round(float(np.mean(whole)), 4)
    both = [question for question in given if question in single]
    if both and given != single:
        before, after = (np.array([side[q].points for q in both]) for side in (single, given))
        statistic = difference(mean(before), mean(after))
        found["gain"] = _rounded(estimate({"gain": statistic}, len(both))["gain"])
    return found


def _rounded(found: Estimate) -> dict[str, float]:
    ends = {"value": found.value, "low": found.low, "high": found.high}
    return {name: round(value, 3) for name, value in ends.items()}


def _row(way: str, figures: Mapping[str, Any]) -> str:
    gain = figures.get("gain")
    more = f"{gain['value']:+.2f} ({gain['low']:+.2f} – {gain['high']:+.2f})" if gain else "–"
    cells = (
        way,
        str(figures["read"]),
        *(f"{figures[name]:.2f}" for name in ("sides", "right", "readable", "points")),
        more,
        f"{figures['whole']:.0%}",
    )
    return f"| {' | '.join(cells)} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--fill", type=Path, metavar="FILE", help="also put the tables here")
    parser.add_argument("--marks", type=Path, default=MARKS, metavar="FILE")
    parser.add_argument(
        "--replies", type=Path, metavar="FILE", help="tell how many marks are of other answers"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
