"""The messages an expert reads: its own prompt, the caller's instructions, the conversation."""

from collections.abc import Sequence

from tame_router.chat import Message, Role


def compose(prompt: str, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Put an expert's prompt before a conversation.

    The caller's system messages are joined to the expert's, because chat templates
    take one system message and only at the beginning.

    Args:
        prompt: The expert's system prompt.
        messages: The conversation; system messages only before all others.
    """
    instructions = [m.content for m in messages if m.role is Role.SYSTEM]
    system = Message(role=Role.SYSTEM, content="\n\n".join([prompt, *instructions]))
    return (system, *(m for m in messages if m.role is not Role.SYSTEM))
