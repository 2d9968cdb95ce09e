"""Several pairs in one row of tokens, behind one copy of the system prompt.

An expert's system prompt is longer than most pairs. A row holds it once; every pair sees
the prompt and itself, never its neighbours, and its positions start where the prompt
ends. So a pair has the same loss as alone, at a fraction of the cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.pair import Pair, PairError


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A pair as tokens.

    Attributes:
        tokens: The user's turn and the assistant's; the system prompt is not included.
        answer_start: Index in `tokens` of the answer's first token.
    """

    tokens: tuple[int, ...]
    answer_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One row, ready for a causal language model. The tensors are torch's.

    Attributes:
        tokens: int64, shape (1, n_tokens).
        positions: int64, shape (1, n_tokens).
        mask: bool, shape (1, 1, n_tokens, n_tokens); True: the row's token sees the column's.
        sources: int64, shape (n_answer_tokens,); index of the token that predicts.
        targets: int64, shape (n_answer_tokens,); the token to predict.
    """

    tokens: Any
    positions: Any
    mask: Any
    sources: Any
    targets: Any


class Encoder:
    """Turns pairs into tokens, by a base model's own chat template.

    Args:
        tokenizer: A Hugging Face tokenizer that has a chat template.
        prompt: The system prompt.
    """

    def __init__(self, tokenizer: Any, prompt: str) -> None:
        self._tokenizer = tokenizer
        self._prompt = prompt

    def prefix(self) -> tuple[int, ...]:
        """Give the tokens that stand before every user's turn, the system prompt last."""
        return self._encode(self._head(self._render("?")))

    def encode(self, pair: Pair) -> Passage:
        """Turn a pair into tokens; the answer ends with the token that ends a turn.

        Raises:
            PairError: When the chat template rewrites the question or the answer.
        """
        opened = self._render(pair.question)
        whole = self._render(pair.question, pair.answer)
        if not whole.startswith(opened + pair.answer):
            raise PairError(f"{pair.name}: the base model's chat template rewrites this pair")
        start = self._encode(opened[len(self._head(opened)) :])
        answer = self._encode(whole[len(opened) :].rstrip())
        return Passage(tokens=start + answer, answer_start=len(start))

    def _render(self, question: str, answer: str | None = None) -> str:
        messages = [
            {"role": "system", "content": self._prompt},
            {"role": "user", "content": question},
        ]
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=answer is None
            )
        )

    def _head(self, text: str) -> str:
        found = text.find(self._prompt)
        if found < 0:
            raise PairError("the base model's chat template leaves out the system prompt")
        return text[: found + len(self._prompt)]

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)


def pack(prefix: Sequence[int], passages: Sequence[Passage]) -> Batch:
    """Put passages behind one prefix, each blind to the others.

    Args:
        prefix: Tokens that all passages see; not empty.
        passages: At least one.
    """
    import torch

    tokens = list(prefix)
    positions = list(range(len(prefix)))
    owners = [-1] * len(prefix)
    sources: list[int] = []
    for index, passage in enumerate(passages):
        start = len(tokens)
        tokens += passage.tokens
        positions += range(len(prefix), len(prefix) + len(passage.tokens))
        owners += [index] * len(passage.tokens)
        sources += range(start + passage.answer_start - 1, len(tokens) - 1)
    owner = torch.tensor(owners)
    visible = (owner[None, :] == owner[:, None]) | (owner[None, :] == -1)
    row = torch.tensor([tokens])
    source = torch.tensor(sources)
    return Batch(
        tokens=row,
        positions=torch.tensor([positions]),
        mask=torch.tril(visible)[None, None],
        sources=source,
        targets=row[0, source + 1],
    )


def split(passages: Sequence[Passage], *, max_tokens: int) -> list[list[Passage]]:
    """Cut a sequence into groups of at most `max_tokens` tokens, in order.

    A passage longer than that gets a group of its own.
    """
    groups: list[list[Passage]] = []
    room = 0
    for passage in passages:
        if not groups or len(passage.tokens) > room:
            groups.append([])
            room = max_tokens
        groups[-1].append(passage)
        room -= len(passage.tokens)
    return groups
