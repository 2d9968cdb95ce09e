"""The messages an expert reads: its own prompt, the caller's instructions, the conversation."""

from collections.abc import Sequence

from tame_router.answering.reference import refer
from tame_router.catalog.expert import Expert
from tame_router.chat import Document, Message, Role


def compose(
    expert: Expert, messages: Sequence[Message], documents: Sequence[Document] = ()
) -> tuple[Message, ...]:
    """Put an expert's prompt before a conversation.

    The caller's system messages are joined to the expert's, because chat templates
    take one system message and only at the beginning. Given documents stand last in it:
    what is the same in every question stays in front, where the backend has it cached.

    Args:
        expert: Whose prompt, and whose wording for documents.
        messages: The conversation; system messages only before all others.
        documents: What the answer is to rest on.
    """
    parts = [expert.prompt, *(m.content for m in messages if m.role is Role.SYSTEM)]
    if documents:
        parts.append(refer(expert.documents, documents))
    system = Message(role=Role.SYSTEM, content="\n\n".join(parts))
    return (system, *(m for m in messages if m.role is not Role.SYSTEM))
