"""Lines of answers: written fast, and to the byte what canonical JSON is."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.audit.chain import Head, link
from tame_router.audit.entry import Entry, content
from tame_router.audit.line import answer_line, link_answers
from tame_router.audit.record import AuditRecord, Step, Texts
from tame_router.canonical_json import ascii_line
from tests.audit.recorded import SALT, answered, entries

NUMBERS = st.floats(-1e9, 1e9) | st.integers(0, 10**9)
WORDS = st.text(st.characters(), max_size=8)  # halves of surrogate pairs among them
COUNTS = st.integers(0, 10**12)
STEPS = st.builds(
    Step,
    expert=WORDS,
    revision=WORDS,
    adapter_digest=WORDS,
    prompt_tokens=COUNTS,
    completion_tokens=COUNTS,
    finish_reason=WORDS,
)
RECORDS = st.builds(
    AuditRecord,
    answer_id=WORDS,
    tenant=WORDS,
    subject=WORDS,
    method=WORDS,
    user=WORDS,
    edge=WORDS,
    operation=WORDS,
    begin_time=st.datetimes(timezones=st.just(UTC)),
    elapsed_s=NUMBERS,
    outcome=WORDS,
    experts=st.lists(st.tuples(WORDS, NUMBERS), max_size=2).map(tuple),
    decision_reason=WORDS,
    stage=WORDS,
    join=WORDS,
    language=WORDS,
    classifier_digest=WORDS,
    policy_digest=WORDS,
    steps=st.lists(STEPS, max_size=2).map(tuple),
    time_to_first_token_s=st.none() | NUMBERS,
    request_digest=WORDS,
    answer_digest=WORDS,
)
TEXTS = st.none() | st.just(Texts(question="{}", answer="麵團", retain_days=1))


@given(record=RECORDS, texts=TEXTS, chain=WORDS, seq=st.integers(1), salt=st.binary(max_size=16))
def test_a_line_is_the_canonical_json_of_its_content(
    record: AuditRecord, texts: Texts | None, chain: str, seq: int, salt: bytes
) -> None:
    """Whatever a record holds, the bytes are those that anyone makes of its values."""
    entry = Entry(record=record, texts=texts)
    place = {"chain": chain, "seq": seq, "previous": "p" * 64}
    line = answer_line(entry, salt, Head(chain=chain, seq=seq, digest="p" * 64))
    assert line == ascii_line({**content(entry, salt), **place})


def test_answers_are_chained_as_all_records_are() -> None:
    """Each names the digest of the one before, from the head on."""
    kept, head = entries(5), Head(chain="c", seq=7, digest="a" * 64)
    salts = [SALT] * len(kept)
    assert link_answers(head, kept, salts) == link(head, (content(one, SALT) for one in kept))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_has_no_form_for_is_refused(number: float) -> None:
    """No line is written that other programs could not read."""
    with pytest.raises(ValueError, match="no form for"):
        answer_line(Entry(record=answered(elapsed_s=number)), SALT, Head(chain="c", seq=1))
