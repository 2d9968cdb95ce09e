"""What the guard of Traditional Chinese costs a chunk: `python -m bench.guard`.

Texts are cut into chunks of two characters, about what one token brings, and of forty, about
what one read of a busy socket brings. The least of several rounds counts.
"""

import argparse
import json
import time
from collections.abc import Sequence

from tame_router.answering.callers_text import CallersText
from tame_router.answering.conversion import Conversion
from tame_router.answering.han_run import HanRun
from tame_router.answering.phrases import load_phrases
from tame_router.answering.question import Question

ROUNDS = 7
CHUNK_CHARS = (2, 40)
TEXTS = {
    "traditional": "依勞動基準法第十七條，雇主終止勞動契約時，應依工作年資發給資遣費；"
    "每滿一年發給相當於一個月平均工資的金額，剩餘月數以比例計給。里長在皇后飯店裡只說了這一件事。",
    "english": "An employer who ends a contract owes severance pay: one month of the average wage "
    "for each full year of service, and a proportional share of what is left over. ",
    "leaking": "依勞動基準法第十七條，雇主終止劳动契约時，應依工作年资發給資遣費；"
    "每滿一年發給相當于一個月平均工资的金額，剩餘月數以比例計給。里長在皇后飯店里只说了這一件事。",
    "simplified": "依劳动基准法第十七条，雇主终止劳动契约时，应依工作年资发给资遣费；"
    "每满一年发给相当于一个月平均工资的金额，剩余月数以比例计给。里长在皇后饭店里只说了这一件事。",
}


def chunks(text: str, size: int) -> Sequence[str]:
    """Cut a text into chunks of as many characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def measure(runs: HanRun, pieces: Sequence[str]) -> tuple[float, float]:
    """Give CPU microseconds a chunk, and the share of chunks that left something waiting."""
    best, waiting = float("inf"), 0
    for _ in range(ROUNDS):
        conversion = Conversion(runs)
        begun = time.thread_time()
        for piece in pieces:
            conversion.feed(piece)
        best = min(best, time.thread_time() - begun)
    conversion, taken, given = Conversion(runs), 0, 0
    for piece in pieces:
        # Where words change their length this is near enough.
        taken, given = taken + len(piece), given + len(conversion.feed(piece))
        waiting += taken > given
    return best / len(pieces) * 1e6, waiting / len(pieces)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="How often a text is repeated.")
    parser.add_argument("--json", action="store_true", help="End with one JSON object.")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    phrases = load_phrases()
    found = {"load_ms": (time.perf_counter() - begun) * 1e3}
    runs = HanRun(phrases, CallersText(Question(answer_id="bench", messages=()), phrases))
    for name, text in TEXTS.items():
        for size in CHUNK_CHARS:
            cost, waiting = measure(runs, chunks(text * arguments.times, size))
            found[f"{name}_{size}_us"] = cost
            found[f"{name}_{size}_waiting"] = waiting
    for name, value in found.items():
        print(f"{name:28}{value:8.3f}")
    if arguments.json:
        print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
