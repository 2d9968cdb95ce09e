"""What an expert votes for, and how sure it is."""

import json
import math

import pytest

from tame_router.answering.ballot import confidence, votes


def listing(*tokens: tuple[str, float], top: dict[str, float] | None = None) -> list[bytes]:
    """Write OpenAI's list of tokens; `top` stands in the place of the first one."""
    entries = [{"token": token, "logprob": p, "top_logprobs": []} for token, p in tokens]
    entries[0]["top_logprobs"] = [{"token": t, "logprob": p} for t, p in (top or {}).items()]
    return [json.dumps(entries).encode()]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("B", "B"),
        ("(b)。", "B"),
        ("答案：C", "C"),
        ("Answer: d", "D"),
        ("12", "12"),
        ("Yes.", "yes"),
        (" 不可以。", "不可以"),
        ("A contract is binding when both sides agree.", None),
        ('{"b": 1, "a": 2}', '{"a": 2, "b": 1}'),
        ("", ""),
    ],
)
def test_a_choice_is_a_letter_or_the_whole(text: str, choice: str | None) -> None:
    """Marks, case and white space do not make another choice of the same answer."""
    found = next(iter(votes(text, [])), "")
    assert found == (
        choice if choice is not None else "a contract is binding when both sides agree"
    )


def test_all_letters_in_its_place_count() -> None:
    """An expert that hesitates between two letters votes for both, by their probabilities."""
    found = votes("B", listing(("B", math.log(0.6)), top={"B": math.log(0.6), "A": math.log(0.3)}))
    assert found == pytest.approx({"B": 0.6, "A": 0.3})


def test_other_answers_count_by_the_mean_of_their_tokens() -> None:
    """The geometric mean, so that a longer answer is not less sure."""
    logprobs = listing(("不", math.log(0.25)), ("可以", math.log(1.0)))
    assert votes("不可以", logprobs) == pytest.approx({"不可以": 0.5})
    assert confidence(logprobs) == pytest.approx(0.5)


def test_what_cannot_be_read_tells_nothing() -> None:
    """A backend that tells no probabilities leaves it to routing's."""
    assert confidence([b"no json"]) == confidence([]) == 0.0
    assert votes("A", []) == {"A": 1.0}
