"""Whether a prompt and its answer fit is decided by numbers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tame_router.backends.context_window import ContextWindow, most_prompt_tokens
from tame_router.chat import Message, Role, Shape, Tool, ToolCall
from tame_router.errors import ContextTooLongError
from tests.fakes.generations import generation

COUNTS = st.integers(1, 5000)


@given(COUNTS, COUNTS, st.none() | COUNTS, st.booleans())
def test_what_is_asked_for_always_fits(
    prompt: int, context: int, wanted: int | None, strict: bool
) -> None:
    """Tokens asked for must fit, be as wanted where possible, and be cut for no strict caller."""
    window = ContextWindow(prompt_tokens=prompt, context_tokens=context)
    asked = generation(max_tokens=wanted, strict=strict)
    fits = prompt + (wanted or 1) <= context
    if prompt >= context or (strict and not fits):
        with pytest.raises(ContextTooLongError) as caught:
            window.max_tokens_for(asked)
        assert caught.value.metadata["prompt_tokens"] == str(prompt)
        assert caught.value.metadata["context_tokens"] == str(context)
    else:
        assert window.max_tokens_for(asked) == (wanted if fits else context - prompt)


def test_error_names_all_numbers() -> None:
    """The caller must read the prompt's length, what was asked for, the limit and what is left."""
    window = ContextWindow(prompt_tokens=1500, context_tokens=2048)
    with pytest.raises(ContextTooLongError) as caught:
        window.max_tokens_for(generation(max_tokens=1000, strict=True))
    for number in ("1500", "1000", "2048", "548"):
        assert number in caught.value.message
    assert caught.value.field == "sampling.max_tokens"
    assert caught.value.metadata["max_tokens"] == "1000"


@given(st.lists(st.text(), max_size=5))
def test_bound_holds_for_byte_tokens(texts: list[str]) -> None:
    """The bound must not be below one token a byte, half characters included."""
    messages = tuple(Message(role=Role.USER, content=text) for text in texts)
    least = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    assert most_prompt_tokens(replace(generation(), messages=messages)) > least


def test_tools_and_calls_are_counted() -> None:
    """What a template may write of tools and calls must be in the bound."""
    call = ToolCall(id="1", name="weather", arguments='{"city":"台北"}')
    said = Message(role=Role.ASSISTANT, content="", tool_calls=(call,))
    tool = Tool(name="weather", description="天氣" * 100, parameters='{"type":"object"}' * 9)
    plain = generation()
    asked = generation(shape=Shape(tools=(tool,)))
    asked = replace(asked, messages=(*plain.messages, said))
    assert most_prompt_tokens(asked) - most_prompt_tokens(plain) > 2 * (600 + 150 + 17)
