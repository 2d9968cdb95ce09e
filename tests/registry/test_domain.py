"""What a new domain's figures mean, and which upload makes an expert."""

from dataclasses import replace

from tame_router.registry.advice import found
from tame_router.registry.domain.domain import Outlook, founds, judge_domain
from tame_router.registry.manifest import FileEntry, make_manifest
from tame_router.registry.reason import Reason
from tests.registry.known import revision

QUIET = Outlook(
    lines=20, recall=0.8, asked={"legal": 100, "medical": 50}, taken={}, ambiguous={}, alike={}
)


def test_a_domain_that_keeps_to_itself_is_not_mentioned() -> None:
    """Nothing taken, nothing alike, and it finds its own."""
    assert judge_domain(QUIET, 0.0) == []


def test_what_it_takes_and_copies_is_told_by_expert() -> None:
    """A note up to the limit; beyond it, by either measure, it is refused."""
    taking = replace(QUIET, taken={"legal": 10}, ambiguous={"medical": 3}, alike={"medical": 2})
    notes = judge_domain(taking, 0.1)
    assert [(one.reason, one.fatal) for one in notes] == [(Reason.DOMAIN_COLLISION, False)] * 2
    assert notes[0].message == (
        "of 100 teaching lines of 'legal' it takes 10 and makes 0 ambiguous; 0 of its own 20 lines"
        " almost stand there (10%, at most 10%)"
    )
    assert "'medical' it takes 0 and makes 3 ambiguous; 2 of its own 20" in notes[1].message
    for changed, expert in (({"taken": {"legal": 11}}, 0), ({"alike": {"medical": 3}}, 1)):
        findings = judge_domain(replace(taking, **changed), 0.1)  # type: ignore[arg-type]
        assert findings[expert].fatal


def test_a_domain_that_does_not_find_its_own_is_noted() -> None:
    """Its questions would go to others; that is no reason to refuse it."""
    (finding,) = judge_domain(replace(QUIET, recall=0.25), 0.1)
    assert (finding.reason, finding.fatal) == (Reason.DOMAIN_COLLISION, False)
    assert "leads 25% of its own 20 teaching lines" in finding.message


def test_an_upload_for_an_expert_that_was_there_makes_none() -> None:
    """Its description had no effect then, and has none when the expert is gone."""
    plain = revision()
    assert not founds(plain)
    entry = FileEntry(path="expert.yaml", size_bytes=1, sha256="0" * 64)
    described = replace(plain, manifest=make_manifest((*plain.manifest.files, entry)))
    assert founds(described)
    told = found(Reason.FILE_UNEXPECTED, "no effect", "expert.yaml", fatal=False)
    assert not founds(replace(described, findings=(told,)))
