"""docs/adapters-reasons.md says what the code does."""

import re
from pathlib import Path

from tame_router.registry.advice import ADVICE
from tame_router.registry.reason import Reason
from tame_router.registry.validation.adapter_tensors import MOST_UPDATE
from tame_router.registry.validation.file_rules import FILES, MOST_LINES
from tame_router.registry.validation.safetensors_header import MOST_HEADER_BYTES, MOST_TENSORS
from tame_router.registry.validation.safetensors_stream import MOST_NORM

PAGE = (Path(__file__).resolve().parents[2] / "docs/adapters-reasons.md").read_text("utf-8")
_ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def test_every_reason_has_advice() -> None:
    """No finding is without something to do."""
    assert ADVICE.keys() == set(Reason)


def test_the_tables_hold_every_reason_as_the_code_has_it() -> None:
    """Each reason stands once, in the order of the code, with its meaning and advice."""
    rows = _ROW.findall(PAGE)
    assert rows == [
        (str(reason), ADVICE[reason].meaning, ADVICE[reason].advice) for reason in Reason
    ]


def test_the_limits_are_those_of_the_code() -> None:
    """Files and limits that the page names are those that are enforced."""
    table = PAGE.split("## What an upload holds")[1].split("\n## ")[0]
    assert (
        set(re.findall(r"`([\w.-]+\.(?:json|jsonl|md|txt|yaml|safetensors|sig))`", table)) == FILES
    )
    assert f"at most {MOST_LINES:,} lines" in PAGE
    assert f"at most {MOST_HEADER_BYTES // 2**20} MiB" in PAGE
    assert f"{MOST_TENSORS:,} tensors" in PAGE
    assert f"norm is at\nmost {MOST_NORM:,.0f}" in PAGE
    assert f"is at most {MOST_UPDATE:.0f}." in PAGE
