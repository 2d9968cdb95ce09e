"""The messages an expert reads."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering.prompt import compose
from tame_router.chat import Message, Role

SPOKEN = st.builds(
    Message, role=st.sampled_from([Role.USER, Role.ASSISTANT]), content=st.text(min_size=1)
)
SYSTEM = st.builds(Message, role=st.just(Role.SYSTEM), content=st.text(min_size=1))


@given(st.lists(SYSTEM, max_size=3), st.lists(SPOKEN, min_size=1))
def test_one_system_message_opens_the_conversation(
    instructions: list[Message], spoken: list[Message]
) -> None:
    """The expert's prompt stands first, the caller's instructions behind it, nothing is lost."""
    system, *rest = compose("You are an expert.", [*instructions, *spoken])
    assert system.role is Role.SYSTEM
    assert rest == spoken
    texts = ["You are an expert.", *(message.content for message in instructions)]
    assert system.content == "\n\n".join(texts)
