"""The router's own words in an answer: headings, references, and who answers for whom."""

from collections.abc import Sequence

from tame_router.answering.event import Fallback
from tame_router.catalog.expert import Expert
from tame_router.chat import FallbackKind

ENGLISH = "en"


def title(expert: Expert, language: str) -> str:
    """Give an expert's title in the language of a question; its name where it has none."""
    spoken = ENGLISH if language == ENGLISH else "zh-TW"
    return expert.titles.get(spoken) or expert.name


def heading(named: str, language: str, *, first: bool) -> str:
    """Give the line above a part.

    Args:
        named: Title of who speaks.
        language: Language of the question.
        first: Nothing stands before it.
    """
    line = f"[{named}]\n" if language == ENGLISH else f"【{named}】\n"
    return line if first else f"\n\n{line}"


def opinion_heading(titles: Sequence[str], language: str) -> str:
    """Give the line above what others add to the lead's words."""
    if language == ENGLISH:
        return f"\n\n[In addition: {', '.join(titles)}]\n"
    return f"\n\n【補充意見：{'、'.join(titles)}】\n"


def references(titles: Sequence[str]) -> str:
    """Give the list below a fused answer, which says whose draft each number is."""
    return "\n\n" + "\n".join(f"[{number}] {named}" for number, named in enumerate(titles, 1))


def fallback_notice(fallback: Fallback, expert: Expert, lead: Expert, language: str) -> str:
    """Say that an answer is not by the expert that was selected, before its writer's own notice.

    Args:
        fallback: What wrote it, and why.
        expert: Who wrote it.
        lead: Who was selected.
        language: Language of the question.
    """
    selected, own = title(lead, language), expert.notice(language)
    kind, external = fallback.kind, fallback.external
    if language == ENGLISH:
        who = {
            FallbackKind.BASE_MODEL: "the base model without special training",
            FallbackKind.EXPERT: f"the expert “{title(expert, language)}”",
            FallbackKind.BACKEND: "an external provider's model without special training"
            if external
            else "another base model without special training",
        }[kind]
        told = (
            f"Written by {who}, not by the expert “{selected}”, which cannot answer now:"
            " verify it before you rely on it."
        )
    else:
        who = {
            FallbackKind.BASE_MODEL: "未經專業訓練的基礎模型",
            FallbackKind.EXPERT: f"「{title(expert, language)}」專家",
            FallbackKind.BACKEND: "外部服務提供、未經專業訓練的模型"
            if external
            else "另一個未經專業訓練的基礎模型",
        }[kind]
        told = (
            f"本回答由{who}撰寫，並非出自「{selected}」專家：該專家目前無法回答，採用前請先查證。"
        )
    return f"{told}\n{own}" if own else told
