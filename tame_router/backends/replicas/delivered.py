"""What has arrived of an answer, and how another replica is asked for the rest. Pure.

A text of one choice, without calls, a form or log-probabilities, can go on elsewhere: the
other replica gets it as the beginning of the assistant's turn. White space at its end is not
sent, because chat templates cut it off; it comes again, and is left out.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from tame_router.backends.backend import Generation, Piece
from tame_router.backends.replicas.stop_strings import StopStrings
from tame_router.chat import FinishReason, Format, Message, Role, Sampling, Usage

_REMEMBERED: Final = 64
"""Ways to draw that are remembered without their stops: most answers are drawn the same way."""


def continuable(generation: Generation) -> bool:
    """Tell whether an answer can go on elsewhere in the middle.

    Not where a replica's own state would be lost: the parser of calls, the automaton that holds
    an answer to a form, the other choices; nor where each token must be told of.
    """
    shape = generation.shape
    held = shape.response_format
    return (
        not shape.tools
        and (held is None or held.format is Format.TEXT)
        and shape.choices == 1
        and shape.top_logprobs is None
        and bool(generation.messages)
        and generation.messages[-1].role is not Role.ASSISTANT
    )


@lru_cache(_REMEMBERED)
def _unstopped(sampling: Sampling) -> Sampling:
    return replace(sampling, stop=())


class Delivered:
    """Gathers a text over all the replicas that write it.

    Args:
        generation: What was asked.

    Attributes:
        done: The answer has ended: no words follow.
        stopped: It ended by a stop string, of which the replica knows nothing.
    """

    __slots__ = (
        "_base",
        "_generation",
        "_marks",
        "_parts",
        "_prompt_tokens",
        "_skip",
        "_stops",
        "_tokens",
        "_tokens_before",
        "done",
        "stopped",
    )

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._stops = StopStrings(generation.sampling.stop)
        self._parts: list[str] = []
        self._marks: list[tuple[int, int]] = []  # after so many characters, so many tokens
        self._base = 0  # characters of before the present replica
        self._prompt_tokens: int | None = None
        self._tokens = 0
        self._tokens_before = 0
        self._skip = ""
        self.done = False
        self.stopped = False

    @property
    def usage(self) -> Usage:
        """Tokens of the prompt, once, and of the answer."""
        return Usage(prompt_tokens=self._prompt_tokens or 0, completion_tokens=self._tokens)

    @property
    def full(self) -> bool:
        """Whether all tokens that were allowed have arrived."""
        allowed = self._generation.sampling.max_tokens
        return allowed is not None and self._tokens >= allowed

    def request(self) -> Generation:
        """Give what a replica is to be asked now: all of it, or the rest."""
        generation = self._generation
        sampling = _unstopped(generation.sampling)
        text = "".join(self._parts)
        sent = text.rstrip()
        self._skip = text[len(sent) :]
        self._base = len(sent)
        self._forget_after(len(sent))
        self._tokens_before = self._marks[-1][1] if self._marks else 0
        if not sent:
            return replace(generation, sampling=sampling, counted=True)
        if sampling.max_tokens is not None:
            left = max(1, sampling.max_tokens - self._tokens_before)
            sampling = replace(sampling, max_tokens=left)
        return replace(
            generation,
            messages=(*generation.messages, Message(role=Role.ASSISTANT, content=sent)),
            sampling=sampling,
            strict_max_tokens=False,  # what was promised was checked at the beginning
            counted=True,
            continued=True,
        )

    def passes(self, piece: Piece) -> bool:
        """Take plain words where all of them are handed out, as nearly always; else do nothing.

        Args:
            piece: Words, with the marks of their tokens; not the first, nor the last of an answer.
        """
        if self._skip or not self._stops.passes(piece.text):
            return False
        if piece.marks:
            self._count(piece.marks)
        self._parts.append(piece.text)
        return True

    def take(self, piece: Piece) -> Piece | None:
        """Take what a replica wrote; give what of it is handed out, without its usage."""
        if piece.marks:
            self._count(piece.marks)
        if piece.usage is not None:
            self._tell(piece.usage)
        text = piece.text
        if self._skip:
            text = self._new(text)
        if text:
            self._parts.append(text)
            text = self._stops.feed(text)
        if self._stops.found or piece.finish_reason is not None:
            text = self._end(piece, text)
        elif not text:
            return None
        piece.text, piece.usage, piece.marks = text, None, ()
        return piece

    def _end(self, piece: Piece, text: str) -> str:
        """End the answer with a piece; give what is handed out of its text."""
        self.done = True
        if not self._stops.found:
            return text + self._stops.rest()
        piece.finish_reason, self.stopped = FinishReason.STOP, True
        self._tokens = self._tokens_through(self._stops.end)
        return text

    def close(self, reason: FinishReason) -> Piece:
        """End the answer here; give what was held back of it."""
        self.done = True
        return Piece(text=self._stops.rest(), finish_reason=reason)

    def _count(self, marks: Sequence[tuple[int, int]]) -> None:
        base, before = self._base, self._tokens_before
        if base or before:
            marks = [(base + chars, before + tokens) for chars, tokens in marks]
        self._marks += marks
        self._tokens = self._marks[-1][1]

    def _tell(self, usage: Usage) -> None:
        if self._prompt_tokens is None:
            self._prompt_tokens = usage.prompt_tokens
        self._tokens = self._tokens_before + usage.completion_tokens

    def _forget_after(self, chars: int) -> None:
        """Drop the marks of tokens that are written again.

        That is a token that is cut, and one that brought no character yet: the first bytes of
        one that takes several tokens.
        """
        first = bisect_left(self._marks, (chars, 0))
        whole = first < len(self._marks) and self._marks[first][0] == chars
        del self._marks[first + whole :]

    def _tokens_through(self, chars: int) -> int:
        """Give the tokens that so many characters took: one read may bring more than was due."""
        at = bisect_left(self._marks, (chars, 0))
        return self._marks[at][1] if at < len(self._marks) else self._tokens

    def _new(self, text: str) -> str:
        """Leave out what comes a second time."""
        skip = self._skip
        if not text:
            return text
        same = 0
        while same < min(len(skip), len(text)) and skip[same] == text[same]:
            same += 1
        self._skip = skip[same:]
        if same < len(text):  # it goes on otherwise, and will not repeat the rest either
            self._base += len(self._skip)
            self._skip = ""
        return text[same:]
