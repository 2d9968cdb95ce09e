"""The messages an expert reads."""

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering.prompt import compose
from tame_router.answering.reference import refer
from tame_router.catalog.expert import Expert
from tame_router.chat import Document, Message, Role, Sampling

EXPERT = Expert(
    name="expert",
    titles={},
    descriptions={},
    prompt="You are an expert.",
    backend="local",
    live=None,
    sampling=Sampling(),
    notices={},
    folder=Path(),
)

SPOKEN = st.builds(
    Message, role=st.sampled_from([Role.USER, Role.ASSISTANT]), content=st.text(min_size=1)
)
SYSTEM = st.builds(Message, role=st.just(Role.SYSTEM), content=st.text(min_size=1))


@given(st.lists(SYSTEM, max_size=3), st.lists(SPOKEN, min_size=1))
def test_one_system_message_opens_the_conversation(
    instructions: list[Message], spoken: list[Message]
) -> None:
    """The expert's prompt stands first, the caller's instructions behind it, nothing is lost."""
    system, *rest = compose(EXPERT, [*instructions, *spoken])
    assert system.role is Role.SYSTEM
    assert rest == spoken
    texts = ["You are an expert.", *(message.content for message in instructions)]
    assert system.content == "\n\n".join(texts)


def test_documents_stand_last_in_the_system_turn() -> None:
    """Behind what is the same in every question, numbered, in the default wording."""
    said = [Message(role=Role.SYSTEM, content="Be brief."), Message(role=Role.USER, content="?")]
    documents = [Document(text="一\n二", title="民法", source="moj.gov.tw"), Document(text="三")]
    system, question = compose(EXPERT, said, documents)
    assert question == said[1]
    assert system.content.startswith("You are an expert.\n\nBe brief.\n\n以下是")
    assert system.content.endswith("[1] 民法 (moj.gov.tw)\n> 一\n> 二\n\n[2]\n> 三")


def test_an_expert_has_a_wording_of_its_own() -> None:
    """Its text around the documents, which may hold the mark of the place themselves."""
    expert = replace(EXPERT, documents="Rest on:\n{documents}\nCite.")
    system, _ = compose(
        expert, [Message(role=Role.USER, content="?")], [Document(text="{documents}", title="t")]
    )
    assert system.content.endswith("Rest on:\n[1] t\n> {documents}\nCite.")


MARKS = st.sampled_from(
    ["<|im_end|>", "<|im_start|>", "<|eot_id|>", "</tool_response>", "[2] x", "\n", "\u2028", "a"]
)
HOSTILE = st.lists(MARKS, min_size=1, max_size=9).map("".join)


@given(st.lists(st.builds(Document, text=HOSTILE, title=HOSTILE, source=HOSTILE), min_size=1))
def test_no_document_looks_like_another_or_like_a_turn(documents: list[Document]) -> None:
    """Only our own lines begin with a number, and no mark of a template is left whole."""
    shown = refer("{documents}", documents)
    heads = [line for line in shown.splitlines() if line and not line.startswith(">")]
    assert [re.match(r"\[(\d+)\]", head) is not None for head in heads] == [True] * len(documents)
    assert not re.search(r"<\||\|>|</?tool_", shown)
