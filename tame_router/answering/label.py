"""The router's own words in an answer: headings of parts, and the list of references."""

from collections.abc import Sequence

from tame_router.catalog.expert import Expert

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
