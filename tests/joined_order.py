"""The order that events of an answer keep, whoever looks at them: inside, or by the SDK."""

from collections.abc import Sequence
from typing import Any


def check_order(events: Sequence[Any]) -> None:
    """Hold events against the order that docs/answering.md states.

    One decision, one final; of each expert one start, then its words, then one end (a finish
    or a note); words made or chosen from drafts after the drafts' ends.
    """
    kinds = [type(event).__name__ for event in events]
    assert kinds[0] == "DecisionMade"
    assert kinds[-1] == "Final"
    assert kinds.count("DecisionMade") == kinds.count("Final") == 1
    under_way: set[tuple[str, str]] = set()
    over: set[tuple[str, str]] = set()
    for kind, event in zip(kinds[1:-1], events[1:-1], strict=True):
        if kind == "Tally":
            continue
        if kind in {"Draft", "DraftDelta"}:
            assert (event.expert, "draft") in under_way, event
            continue
        who = (event.expert, str(event.part))
        if kind == "ExpertStart":
            assert who not in under_way | over, event
            under_way.add(who)
        elif kind == "Delta":
            check_words(event, who, under_way, over)
        elif kind == "ExpertFinish" or event.reason != "UNREADABLE":
            assert who in under_way, event
            under_way.remove(who)
            over.add(who)
    assert not under_way


def check_words(
    event: Any, who: tuple[str, str], under_way: set[tuple[str, str]], over: set[tuple[str, str]]
) -> None:
    """Words come from someone who is speaking, or has written them as a draft before."""
    if who[1] == "label":
        assert any(expert == who[0] for expert, _ in under_way | over), event
    elif who not in under_way:
        assert who[1] in {"joined", "expert"}, event
        assert (who[0], "draft") in over, event


def words(events: Sequence[Any], expert: str = "", *, labels: bool = False) -> str:
    """Join the answer's words, of one expert or of all."""
    return "".join(
        event.text
        for event in events
        if type(event).__name__ == "Delta"
        and (not expert or event.expert == expert)
        and (labels or event.part != "label")
    )
