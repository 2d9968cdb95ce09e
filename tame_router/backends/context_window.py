"""Whether a conversation and its answer fit the base model's context. Values only."""

from dataclasses import dataclass

from tame_router.backends.backend import Generation
from tame_router.errors import ContextTooLongError

_TEMPLATE_TOKENS = 64
_TEMPLATE_TOKENS_PER_MESSAGE = 16
_TEMPLATE_TOKENS_PER_TOOL = 96
_TEMPLATE_TOKENS_FOR_TOOLS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextWindow:
    """How much of the context a prompt takes.

    Attributes:
        prompt_tokens: Length of the prompt, chat template included.
        context_tokens: Length of the base model's context.
    """

    prompt_tokens: int
    context_tokens: int

    @property
    def room_tokens(self) -> int:
        """Tokens left for the answer; may be negative."""
        return self.context_tokens - self.prompt_tokens

    def max_tokens_for(self, generation: Generation) -> int | None:
        """Give the `max_tokens` to ask for: as wanted where it fits, else what is left.

        Raises:
            ContextTooLongError: When nothing is left, or the caller insists on more than is left.
        """
        wanted = generation.sampling.max_tokens
        if self.room_tokens < 1:
            raise ContextTooLongError(
                f"the conversation has {self.prompt_tokens} tokens, the expert's instructions"
                f" included, and the base model's context holds {self.context_tokens}:"
                " shorten the conversation",
                field="messages",
                metadata=self._facts(wanted),
            )
        if wanted is None or wanted <= self.room_tokens:
            return wanted
        if generation.strict_max_tokens:
            raise ContextTooLongError(
                f"the conversation has {self.prompt_tokens} tokens, the expert's instructions"
                f" included, and max_tokens is {wanted}; together the base model's context holds"
                f" {self.context_tokens}: shorten the conversation, or ask for at most"
                f" {self.room_tokens} tokens",
                field="sampling.max_tokens",
                metadata=self._facts(wanted),
            )
        return self.room_tokens

    def _facts(self, wanted: int | None) -> dict[str, str]:
        facts = {
            "prompt_tokens": str(self.prompt_tokens),
            "context_tokens": str(self.context_tokens),
        }
        return facts if wanted is None else {**facts, "max_tokens": str(wanted)}


def most_prompt_tokens(generation: Generation) -> int:
    """Give a number of tokens that a prompt does not exceed, without a tokenizer.

    A byte-level tokenizer makes at most one token of a UTF-8 byte; the chat template adds a
    few for each message and a few for the whole, more where it explains tools. Schemas grow
    when a template writes them again, with a space behind every mark, so they count twice.
    """
    count = _TEMPLATE_TOKENS
    for message in generation.messages:
        count += _TEMPLATE_TOKENS_PER_MESSAGE + _bytes(message.content)
        for call in message.tool_calls:
            count += _TEMPLATE_TOKENS_PER_TOOL + _bytes(call.name) + 2 * _bytes(call.arguments)
    tools = generation.shape.tools
    if tools:
        count += _TEMPLATE_TOKENS_FOR_TOOLS
    for tool in tools:
        count += _TEMPLATE_TOKENS_PER_TOOL + _bytes(tool.name)
        count += 2 * (_bytes(tool.description) + _bytes(tool.parameters))
    return count


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
