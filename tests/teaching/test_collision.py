"""Collisions of a new domain with existing questions."""

from collections.abc import Mapping
from pathlib import Path

from tame_router.routing.artefact import Artefact
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy
from tame_router.teaching.collision import find_collisions, find_duplicates
from tame_router.teaching.corpus import load_corpus
from tame_router.teaching.extension import extend
from tests.school import CREATED

LINES = (
    "腳踏車鏈條多久要上油一次呀\n機車鏈條潤滑\n機車胎壓\n機車煞車皮要換了嗎\n機車火星塞多久換一次\n"
)


def router(artefact: Artefact) -> Router:
    """Give a router that answers without a threshold."""
    policy = SelectionPolicy(threshold=0)
    return Router(LexicalClassifier(artefact.parameters, artefact.digest), policy)


def test_questions_that_change_hands_are_listed(
    artefact: Artefact, folders: Mapping[str, Path], tmp_path: Path
) -> None:
    """What the domain takes is told with who answered, before and after; the rest is not."""
    folder = tmp_path / "motorcycles"
    folder.mkdir()
    (folder / "utterances.zh-TW.txt").write_text(LINES, encoding="utf-8")
    corpus = load_corpus({**folders, "motorcycles": folder})
    after = extend(artefact, corpus, "motorcycles", created=CREATED).artefact
    texts = ["機車火星塞", "講一個笑話給我聽"]
    (found,) = find_collisions(router(artefact), router(after), "motorcycles", texts)
    assert found.captured
    assert found.text == "機車火星塞"
    assert found.lead in artefact.parameters.labels
    assert found.new > found.after
    (duplicate,) = find_duplicates(corpus, "motorcycles")
    assert duplicate.other.expert == "cycling"
    assert duplicate.line.line == 1
