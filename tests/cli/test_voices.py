"""Experts that speak at the same time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.cli.voices import Voices


def speaking(*speakers: str) -> Voices:
    """Give voices of these speakers."""
    voices = Voices()
    for speaker in speakers:
        voices.begin(speaker, f"{speaker}: ")
    return voices


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("一。二！三", ["一。", "二！", "三"]),
        ("「好。」他說。\n\n再來。", ["「好。」", "他說。", "再來。"]),
        ("Yes. No, 3.5 V!\n1. Cool it", ["Yes.", "No, 3.5 V!", "1. Cool it"]),
        ("Really?!  Yes.   No", ["Really?!", "Yes.", "No"]),
        (
            "問「要賠嗎？」、「賠誰？」，再說。《可以嗎？》說",
            ["問「要賠嗎？」、「賠誰？」，再說。", "《可以嗎？》", "說"],
        ),
        ("  x\n    y = 1\n", ["  x", "    y = 1"]),
        (" \n ", []),
    ],
)
def test_sentences_and_lines_are_whole(text: str, lines: list[str]) -> None:
    """However the text comes in pieces; what stands last is given at the end."""
    for size in (1, 2, len(text)):
        voices = speaking("a")
        told = [
            line
            for at in range(0, len(text), size)
            for line in voices.add("a", text[at : at + size])
        ]
        told += voices.end("a")
        assert [line.removeprefix("a: ") for line in told] == lines


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text("一。!x \n」", max_size=6)), max_size=12))
def test_no_word_is_lost_or_anothers(pieces: list[tuple[str, str]]) -> None:
    """But for white space each speaker's lines hold what it said."""
    voices = speaking("a", "b")
    told = [line for speaker, text in pieces for line in voices.add(speaker, text)]
    told += voices.end_all()
    for speaker in "ab":
        said = "".join(text for name, text in pieces if name == speaker)
        shown = "".join(x.removeprefix(f"{speaker}: ") for x in told if x.startswith(speaker))
        assert "".join(shown.split()) == "".join(said.split())


def test_a_sentence_begins_with_its_first_word() -> None:
    """The blank between two sentences belongs to neither; a line's own indentation stays."""
    assert speaking("a").add("a", "Yes. No.\n  x\n") == ["a: Yes.", "a: No.", "a:   x"]
