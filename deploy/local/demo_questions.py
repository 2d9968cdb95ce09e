"""The ten questions of the demo: five domains, two languages, one of everything that is hard."""

from dataclasses import dataclass

from tame_router.chat import Message, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoQuestion:
    """One question.

    Attributes:
        title: What it shows.
        experts: Who may answer it.
        messages: The conversation, the question last.
        together: All of them must, in one answer.
    """

    title: str
    experts: frozenset[str]
    messages: tuple[Message, ...]
    together: bool = False


def _ask(title: str, experts: str, *turns: str, together: bool = False) -> DemoQuestion:
    """Make a question of turns that are the user's and the assistant's by turns."""
    roles = [Role.USER if (len(turns) - n) % 2 else Role.ASSISTANT for n in range(len(turns))]
    messages = (Message(role=r, content=t) for r, t in zip(roles, turns, strict=True))
    return DemoQuestion(
        title=title,
        experts=frozenset(experts.split()),
        messages=tuple(messages),
        together=together,
    )


QUESTIONS = (
    _ask("legal, 中文", "legal", "租約到期搬走了，房東一直不退押金，我可以怎麼做？"),
    _ask("medical, 中文", "medical", "小孩半夜發燒到 39 度，要馬上掛急診嗎？"),
    _ask("manufacturing, 中文", "manufacturing", "CNC 車削的工件表面出現振紋，該從哪裡調整？"),
    _ask("general, 中文", "general", "週末想去台南玩兩天一夜，有推薦的行程嗎？"),
    _ask(
        "legal, English",
        "legal",
        "My employer refuses to pay overtime. What can I do under Taiwanese law?",
    ),
    _ask(
        "medical, English", "medical", "Can I take ibuprofen together with blood pressure medicine?"
    ),
    _ask(
        "manufacturing, English",
        "manufacturing",
        "Our injection moulded parts show sink marks near the ribs. What should we change?",
    ),
    _ask("electronics, code-mixed", "electronics", "MOSFET 的 gate driver 要怎麼選?"),
    _ask(
        "two domains, two experts",
        "legal medical",
        "手術失敗造成後遺症，可以告醫院求償嗎？",
        together=True,
    ),
    _ask(
        "a follow-up",
        "legal",
        "公司超時加班卻沒有給加班費，違反哪一條法律？",
        "依《勞動基準法》第 24 條，雇主延長工時應加給工資。",
        "那罰則呢？",
    ),
)
