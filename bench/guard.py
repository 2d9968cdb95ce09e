"""What the guard of Traditional Chinese costs a chunk, and how well it converts.

`python bench/guard.py`. Texts are cut into chunks of two characters, about what one token
brings, and of forty, about what one read of a busy socket brings. `traditional` is drawn from
the lines that teach the router; `ambiguous` is a sentence full of 雇, 里 and 后. The cost is
CPU time of the guard alone, the least of several rounds. For the second part those lines,
which were written in Taiwan, are made Simplified by OpenCC (`tw2s`) and converted back.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import opencc

from tame_router.answering.callers_text import CallersText
from tame_router.answering.conversion import Conversion
from tame_router.answering.event import Delta, Event
from tame_router.answering.guard import Guard
from tame_router.answering.han_run import HanRun
from tame_router.answering.join import Emit
from tame_router.answering.phrases import Phrases, load_phrases
from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog
from tame_router.chat import Guarding

ROUNDS = 7
CHUNK_CHARS = (2, 40)
TEXTS = {
    "ambiguous": "依勞動基準法第十七條，雇主終止勞動契約時，應依工作年資發給資遣費；"
    "每滿一年發給相當於一個月平均工資的金額，剩餘月數以比例計給。里長在皇后飯店裡只說了這一件事。",
    "english": "An employer who ends a contract owes severance pay: one month of the average wage "
    "for each full year of service, and a proportional share of what is left over. ",
    "leaking": "依勞動基準法第十七條，雇主終止劳动契约時，應依工作年资發給資遣費；"
    "每滿一年發給相當于一個月平均工资的金額，剩餘月數以比例計給。里長在皇后飯店里只说了這一件事。",
    "simplified": "依劳动基准法第十七条，雇主终止劳动契约时，应依工作年资发给资遣费；"
    "每满一年发给相当于一个月平均工资的金额，剩余月数以比例计给。里长在皇后饭店里只说了这一件事。",
}


QUESTION = Question(answer_id="bench", messages=())


def chunks(text: str, size: int) -> Sequence[Delta]:
    """Cut a text into chunks of as many characters."""
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    return [Delta(expert="legal", revision="", text=piece) for piece in pieces]


async def _nowhere(event: Event) -> None:
    """Take an event."""


async def _send(deltas: Sequence[Delta], emit: Emit) -> float:
    begun = time.thread_time()
    for delta in deltas:
        await emit(delta)
    return time.thread_time() - begun


async def cost_us(deltas: Sequence[Delta], guarding: Guarding) -> float:
    """Give the CPU time that the guard adds to a chunk, in microseconds."""
    bare = min([await _send(deltas, _nowhere) for _ in range(ROUNDS)])
    guards = [Guard(guarding, Catalog({}), QUESTION, _nowhere) for _ in range(ROUNDS)]
    guarded = min([await _send(deltas, guard.emit) for guard in guards])
    return (guarded - bare) / len(deltas) * 1e6


def waiting(runs: HanRun, deltas: Sequence[Delta]) -> float:
    """Give the share of chunks behind which something waits; near enough where words grow."""
    conversion, left, times = Conversion(runs), 0, 0
    for delta in deltas:
        left += len(delta.text) - len(conversion.feed(delta.text))
        times += left > 0
    return times / len(deltas)


def round_trip(convert: Callable[[str], str], lines: Sequence[str]) -> float:
    """Give the share of lines that come back as they were written."""
    simplify = opencc.OpenCC("tw2s").convert
    return sum(convert(simplify(line)).replace("臺", "台") == line for line in lines) / len(lines)


def written_lines(folder: Path = Path("experts")) -> Sequence[str]:
    """Give the lines that teach the router, 臺 as 台."""
    files = sorted(folder.glob("*/*.zh-TW.txt"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line.replace("臺", "台").replace("裏", "裡") for line in lines]


def fidelity(phrases: Phrases, lines: Sequence[str]) -> dict[str, float]:
    """Compare the guard with OpenCC's own conversions, and count what it spoils."""
    runs = HanRun(phrases, CallersText(QUESTION, phrases))

    def guarded(text: str) -> str:
        conversion = Conversion(runs)
        return conversion.feed(text) + conversion.end()

    found = {
        "lines": float(len(lines)),
        "traditional_spoilt_guard": float(sum(guarded(line) != line for line in lines)),
        "round_trip_guard": round_trip(guarded, lines),
    }
    for name in ("s2tw", "s2twp"):
        convert = opencc.OpenCC(name).convert
        spoilt = sum(convert(line).replace("臺", "台") != line for line in lines)
        found[f"traditional_spoilt_{name}"] = float(spoilt)
        found[f"round_trip_{name}"] = round_trip(convert, lines)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="How often a text is repeated.")
    parser.add_argument("--json", action="store_true", help="End with one JSON object.")
    arguments = parser.parse_args()
    begun = time.thread_time()
    phrases = load_phrases()
    found = {"load_ms": (time.thread_time() - begun) * 1e3}
    runs = HanRun(phrases, CallersText(QUESTION, phrases))
    lines = written_lines()
    ordinary = "".join(lines[:: len(lines) // 300])
    texts = {name: text * arguments.times for name, text in TEXTS.items()}
    for name, text in {"traditional": ordinary, **texts}.items():
        for size in CHUNK_CHARS:
            deltas = chunks(text, size)
            for guarding in (Guarding.COUNT, Guarding.CONVERT):
                key = f"{name}_{size}_{guarding}_us"
                found[key] = asyncio.run(cost_us(deltas, guarding))
            found[f"{name}_{size}_waiting"] = waiting(runs, deltas)
    found |= fidelity(phrases, lines)
    for name, value in found.items():
        print(f"{name:32}{value:12.3f}")
    if arguments.json:
        print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
