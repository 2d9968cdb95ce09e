"""Write the table of phrases that the guard of Traditional Chinese converts by.

OpenCC's Python package converts whole texts; a stream has to know whether a phrase may still
go on, which takes the phrases themselves. They are read with the program that the package
brings along. After a new OpenCC: `python -m deploy.local.phrase_table`.
"""

import subprocess
import tempfile
from pathlib import Path

import opencc

from deploy.local.phrase_choices import DROPPED, ONLY, OWN, TELLING, UNCHANGED, VARIANTS, WORDS

TABLE = Path("tame_router/answering/phrases.tsv")
_DICTIONARIES = ("STCharacters", "STPhrases", "STPhrases_GeneratedFromRegionalPhrases")
_LONGEST_CHARS = 12
_COMMON = str.maketrans("溼燬", "濕毀")
"""What OpenCC writes, and what Taiwan writes more often."""

_HEAD = """\
# Simplified phrases as Taiwan spells them, a line each: the phrase, its spelling unless it is that
# of its characters, `only` where it proves a text Simplified, and the word Taiwan uses instead.
# From OpenCC {version} (https://github.com/BYVoid/OpenCC, Apache License 2.0) and choices of our
# own; written by deploy/local/phrase_table.py.
"""


def read(name: str) -> list[str]:
    """Give the left side of one of OpenCC's dictionaries."""
    package = Path(opencc.__file__).parent / "clib"
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        source = package / f"share/opencc/{name}.ocd2"
        arguments = ["-i", str(source), "-o", str(text), "-f", "ocd2", "-t", "text"]
        subprocess.run([str(package / "bin/opencc_dict"), *arguments], check=True)
        lines = text.read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[0] for line in lines]


def spelling() -> dict[str, str]:
    """Give every phrase, single characters too, with its spelling, both of one length."""
    general, taiwan = opencc.OpenCC("s2t").convert, opencc.OpenCC("s2tw").convert

    def spell(phrase: str) -> str:
        # Taiwan writes 台灣 as often as 臺灣; what both scripts share is not made orthodox.
        written = []
        for own, common, wanted in zip(phrase, general(phrase), taiwan(phrase), strict=True):
            same = own in UNCHANGED or (own == common and own not in VARIANTS)
            written.append(own if same or (own, wanted) == ("台", "臺") else wanted)
        return "".join(written).translate(_COMMON)

    found = {character: spell(character) for character in VARIANTS}
    for phrase in (phrase for name in _DICTIONARIES for phrase in read(name)):
        fits = len(phrase) <= _LONGEST_CHARS and phrase not in DROPPED
        if fits and all("\u4e00" <= c <= "\u9fff" for c in phrase):
            found[phrase] = spell(phrase)
    return found


def lines() -> list[str]:
    """Write the table's lines, sorted."""
    found = {**spelling(), **OWN}
    default = {phrase: spelt for phrase, spelt in found.items() if len(phrase) == 1}

    def plain(phrase: str) -> str:
        return "".join(default.get(character, character) for character in phrase)

    for phrase in WORDS:
        found.setdefault(phrase, plain(phrase))
    written = []
    for phrase, spelt in sorted(found.items()):
        single = len(phrase) == 1
        if single and phrase == spelt:
            continue
        only = _proves(phrase) if single else phrase in TELLING
        columns = (
            phrase,
            "" if not single and plain(phrase) == spelt else spelt,
            "only" if only else "",
            WORDS.get(phrase, ""),
        )
        written.append("\t".join(columns).rstrip("\t"))
    return written


def _proves(character: str) -> bool:
    """Tell whether Taiwanese text never has a character: Big5 has no place for it."""
    try:
        character.encode("big5")
    except UnicodeEncodeError:
        return character not in VARIANTS
    return character in ONLY


if __name__ == "__main__":
    head = _HEAD.format(version=opencc.__version__)
    TABLE.write_text(head + "\n".join(lines()) + "\n", encoding="utf-8")
