"""Our chat template for the embedded base model, beside the model's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tame_router.backends.engine.base_model import choose_base_model
from tests.engine.conftest import BASE_MODEL

# As Hugging Face's `apply_chat_template` sets it up.
_JINJA = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
TEXTS = st.text() | st.sampled_from(["<tool_call>", "{{ 1 }}", "<|im_end|>", "\n", "押金"])


@pytest.fixture(scope="module")
def templates() -> tuple[str, str]:
    """Give the model's own template, and ours."""
    ours = choose_base_model(str(BASE_MODEL), "", BASE_MODEL, cuda=False).chat_template
    assert ours is not None
    own = BASE_MODEL / "chat_template.jinja"
    return own.read_text(encoding="utf-8"), ours.read_text(encoding="utf-8")


@settings(max_examples=200)
@given(
    system=st.none() | TEXTS,
    turns=st.lists(TEXTS, max_size=5),
    more=st.booleans(),
)
def test_plain_conversations_are_rendered_as_ever(
    templates: tuple[str, str], system: str | None, turns: list[str], more: bool
) -> None:
    """Character for character: the adapters were trained on what the model's own writes."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    messages += [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
    own, ours = (
        _JINJA.from_string(template).render(
            messages=messages, tools=None, add_generation_prompt=more
        )
        for template in templates
    )
    assert ours == own
