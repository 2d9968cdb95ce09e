"""The parts of the adapters' recipe that need neither torch nor a base model."""

import json
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.batch import Encoder, Passage, split
from adapters.card import BASE, TABLE_END, TABLE_START, render, table, with_table
from adapters.evaluate import beaten
from adapters.pair import (
    DOMAINS,
    HELDOUT_DOMAINS,
    Pair,
    PairError,
    heldout_file,
    read_pairs,
    read_prompt,
    training_file,
)
from adapters.train import Recipe, main, order, rate

PAIR = Pair(name="a", language="en", question="Who?", answer="Me.")
LINE = {
    "id": "a",
    "lang": "en",
    "messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}],
}


class _Letters:
    """A tokenizer with one token a character, and a template like ChatML's."""

    def apply_chat_template(
        self, messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        text = "".join(f"<{m['role']}>{m['content']}#\n" for m in messages)
        return text + ("<assistant>" if add_generation_prompt else "")

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
        assert not add_special_tokens
        return SimpleNamespace(input_ids=[ord(letter) for letter in text])


def _text(tokens: tuple[int, ...]) -> str:
    return "".join(map(chr, tokens))


def _losses(value: float = 1.0) -> dict[str, dict[str, float]]:
    return {
        domain: {column: value if column == domain else 2.0 for column in (BASE, *DOMAINS)}
        for domain in HELDOUT_DOMAINS
    }


def test_the_committed_pairs_are_whole() -> None:
    """Each domain has its pairs, half a language each, and no held-out question was trained on."""
    for domain in DOMAINS:
        trained, heldout = read_pairs(training_file(domain)), read_pairs(heldout_file(domain))
        assert len(trained) >= 60
        assert len(heldout) >= len(trained) / 5
        assert {p.language for p in trained} == {"zh-TW", "en"}
        assert not {p.question for p in trained} & {p.question for p in heldout}
    assert read_pairs(heldout_file("general"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r":2: not JSON"),
        ("[]", r":2: expected an object, saw a list"),
        (json.dumps({**LINE, "id": "b", "lang": "fr"}), r":2: lang is 'fr', expected"),
        (json.dumps({**LINE, "id": ""}), r":2: id: expected text"),
        (json.dumps({**LINE, "id": "b", "messages": []}), r":2: messages: expected a user's"),
        (json.dumps({**LINE, "id": "b", "messages": "x"}), r":2: messages: expected a user's"),
        (json.dumps(LINE), r":2: id 'a' was already used in line 1"),
        (json.dumps({**LINE, "id": "b"}), r":2: question 'Who\?' was already used in line 1"),
        (
            json.dumps(
                {**LINE, "id": "b", "messages": [LINE["messages"][0], {"role": "assistant"}]}
            ),
            r":2: content of the assistant: expected text",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    """A line that is no pair stops the recipe with file and line number."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(f"{json.dumps(LINE)}\n{line}\n", "utf-8")
    with pytest.raises(PairError, match=message):
        read_pairs(path)


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    """A file that is missing, empty or not UTF-8 stops the recipe."""
    path = tmp_path / "pairs.jsonl"
    with pytest.raises(PairError, match="no such file"):
        read_pairs(path)
    path.write_text("", "utf-8")
    with pytest.raises(PairError, match="holds no pair"):
        read_pairs(path)
    path.write_bytes(b"\xff")
    with pytest.raises(PairError, match="cannot be read"):
        read_pairs(path)
    with pytest.raises(PairError, match="cannot be read"):
        read_prompt("no-such-expert")


def test_training_an_unknown_domain_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A domain without pairs is refused before anything is loaded."""
    assert main(["astrology"]) == 1
    assert "astrology.train.jsonl: no such file" in capsys.readouterr().err


def test_prefix_and_passage_make_up_the_templates_text() -> None:
    """Prefix, question and answer are the template's own text, up to the end of the turn."""
    encoder = Encoder(_Letters(), "Be kind.")
    passage = encoder.encode(PAIR)
    assert _text(encoder.prefix()) == "<system>Be kind."
    assert _text(passage.tokens[: passage.answer_start]) == "#\n<user>Who?#\n<assistant>"
    assert _text(passage.tokens[passage.answer_start :]) == "Me.#"


def test_a_template_that_drops_the_prompt_or_rewrites_is_refused() -> None:
    """A base model that cannot be taught this way is named, not taught something else."""

    class Dropping(_Letters):
        def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> str:
            return super().apply_chat_template(messages[1:], **options)

    class Shouting(_Letters):
        def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> str:
            last = {**messages[-1], "content": messages[-1]["content"].upper()}
            return super().apply_chat_template([*messages[:-1], last], **options)

    with pytest.raises(PairError, match="leaves out the system prompt"):
        Encoder(Dropping(), "Be kind.").prefix()
    with pytest.raises(PairError, match="rewrites this pair"):
        Encoder(Shouting(), "Be kind.").encode(PAIR)


def test_groups_hold_all_passages_in_order_within_the_limit() -> None:
    """Splitting loses and reorders nothing; only a passage too long by itself goes over."""
    passages = [Passage(tokens=(0,) * length, answer_start=0) for length in (3, 4, 9, 1, 2, 5)]
    groups = split(passages, max_tokens=8)
    assert [p for group in groups for p in group] == passages
    assert [[len(p.tokens) for p in group] for group in groups] == [[3, 4], [9], [1, 2, 5]]


def test_every_epoch_sees_every_pair_in_an_order_of_its_own() -> None:
    """The order is complete, shuffled anew each epoch, and the same for the same seed."""
    recipe = Recipe(epochs=2, pairs_per_step=4)
    steps = list(order(10, recipe))
    first, second = list(chain(*steps[:3])), list(chain(*steps[3:]))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert steps == list(order(10, recipe))


def test_the_rate_rises_then_falls() -> None:
    """The rate warms up to its highest value and ends near 0."""
    rates = [rate(step, 50, 1.0) for step in range(50)]
    assert max(rates) == 1.0
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.01


def test_an_adapter_must_win_at_home() -> None:
    """The base model or another adapter that is as good is named."""
    losses = _losses()
    assert beaten(losses) == []
    losses["legal"]["medical"] = 1.0
    assert len(beaten(losses)) == 1
    assert "legal adapter (1.000) does not beat medical (1.000)" in beaten(losses)[0]


def test_the_table_stands_between_its_marks_and_can_be_replaced() -> None:
    """Writing the table twice leaves one; a text without marks stays as it is."""
    text = f"before {TABLE_START} old {TABLE_END} after"
    once = with_table(text, table(_losses()))
    assert with_table(once, table(_losses())) == once
    assert once.startswith("before ")
    assert once.endswith(" after")
    assert "| legal | 2.000 | **1.000** | 2.000 | 2.000 | 2.000 |" in once
    assert with_table("no marks", "x") == "no marks"


def test_a_card_tells_what_was_measured() -> None:
    """The card holds data, recipe, time, both losses and what it is not for."""
    facts = {
        "base_model": "smollm2-135m-instruct",
        "base_model_digest": "d" * 64,
        "pairs": {"zh-TW": 48, "en": 48},
        "recipe": {"rank": 4, "alpha": 8, "epochs": 4, "pairs_per_step": 6}
        | {"learning_rate": 0.002, "seed": 1},
        "seconds": 250,
        "loss_by_step": [3.0, 1.0],
        "tools": {"torch": "2", "transformers": "5", "peft": "0"},
    }
    card = render("legal", facts, _losses(), 24)
    for part in ("`smollm2-135m-instruct`", "d" * 64, "48 pairs", "rank 4", "250 s", "Not for"):
        assert part in card
    assert "2.000 for the base model, 1.000 with this" in card
