"""The chain: any single change of an export is found."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tame_router.audit.chain import NOTHING, Head, line_digest, link
from tame_router.audit.export import mark
from tame_router.canonical_json import ascii_line
from tests.audit.recorded import exported, faults

LINES = exported(2_000)
SOME = exported(200)
SMALL = exported(4, "a") + exported(4, "b")
END = Head(**{k: v for k, v in json.loads(LINES[-1]).items() if k != "kind"})


def test_each_record_names_the_digest_of_the_one_before() -> None:
    """A stranger can follow the chain with nothing but SHA-256."""
    links, head = link(Head(chain="c"), [{"kind": "x"}, {"kind": "y"}])
    first, second = (json.loads(at.line) for at in links)
    assert first["previous"] == NOTHING
    assert second["previous"] == line_digest(links[0].line)
    assert head == Head(chain="c", seq=2, digest=line_digest(links[1].line))


def test_an_untouched_export_has_no_fault() -> None:
    """Thousands of records, and two chains one after the other, are as they were written."""
    assert faults(LINES) == []
    assert faults(SMALL) == []
    assert faults(LINES, [END]) == []
    assert faults([]) == []


@given(place=st.integers(0, len(SOME) - 1), at=st.integers(0), replacement=st.characters())
def test_a_changed_character_is_found(place: int, at: int, replacement: str) -> None:
    """Whatever character of whatever line is changed shows."""
    line = SOME[place]
    at %= len(line)
    changed = line[:at] + replacement + line[at + 1 :]
    if changed == line:
        return
    assert faults([*SOME[:place], changed, *SOME[place + 1 :]])


@given(place=st.integers(1, len(SOME) - 2))
def test_a_changed_value_is_found_where_it_is(place: int) -> None:
    """A record written anew with another value is named by its number."""
    value = json.loads(SOME[place]) | {"outcome": "forged"}
    found = faults([*SOME[:place], ascii_line(value), *SOME[place + 1 :]])
    assert [fault.seq for fault in found] == [place]
    assert "changed" in found[0].message


@given(place=st.integers(0, len(SMALL) - 1))
def test_a_missing_line_is_found(place: int) -> None:
    """Wherever a line is dropped, the first and the last included."""
    assert faults(SMALL[:place] + SMALL[place + 1 :])


@given(place=st.integers(0, len(SMALL) - 1), to=st.integers(0, len(SMALL) - 1))
def test_a_line_twice_is_found(place: int, to: int) -> None:
    """Wherever a copy of a line is put in."""
    assert faults([*SMALL[:to], SMALL[place], *SMALL[to:]])


@given(first=st.integers(0, len(SMALL) - 1), second=st.integers(0, len(SMALL) - 1))
def test_swapped_lines_are_found(first: int, second: int) -> None:
    """Whichever two lines change places, of one chain or of two."""
    swapped = list(SMALL)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    assert bool(faults(swapped)) == (first != second)


@given(cut=st.integers(0, len(LINES) - 3))
def test_a_cut_tail_is_found_by_a_head_seen_earlier(cut: int) -> None:
    """Even where a new head was made for what is left."""
    left = LINES[: cut + 1]
    if cut:
        seq = json.loads(left[-1])["seq"]
        left.append(mark("head", Head(chain="c1", seq=seq, digest=line_digest(left[-1]))))
    assert faults(left, [END])


def test_a_chain_written_anew_is_found_by_a_head_seen_earlier() -> None:
    """Whoever can write everything anew cannot make the old head fit."""
    other = exported(2_001)
    assert faults(other) == []
    assert "seen earlier" in faults(other, [END])[0].message


def test_what_is_no_record_is_a_fault() -> None:
    """Nothing that is not understood is passed over."""
    for line in ("", "[]", "{}", "null", '{"kind":"x","chain":"c","seq":"many"}', "[" * 100_000):
        assert faults([line])[0].message.startswith("the line behind")
