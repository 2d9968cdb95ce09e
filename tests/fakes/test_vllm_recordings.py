"""The fake sends what a real vLLM was recorded sending: the same fields, framed the same way.

`python -m tests.fakes.record_vllm` makes the recordings.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.record_vllm import CASES, RECORDINGS, scrubbed
from tests.fakes.vllm import FakeVllm

KEY = "secret"
NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
pytestmark = pytest.mark.skipif(
    not NAMES, reason="no recordings; run `python -m tests.fakes.record_vllm`"
)
PLAIN = {"tokenize", "models", "unknown_model", "too_many_tokens", "without_key"}


def recording(name: str) -> dict[str, Any]:
    """Read what was recorded."""
    read: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeVllm]:
    """Give a fake that serves what the recorded server did."""
    with FakeVllm() as fake:
        names = [card["id"] for card in json.loads(recording("models")["body"][0])["data"]]
        fake.base_model, fake.adapters = names[0], tuple(names[1:])
        fake.api_key = KEY
        yield fake


def replayed(fake: FakeVllm, known: dict[str, Any]) -> httpx.Response:
    """Ask the fake what was asked of the real one."""
    headers = {"Authorization": f"Bearer {KEY}"} if known["keyed"] else {}
    method = "GET" if known["request"] is None else "POST"
    url = fake.root_url + known["path"]
    with httpx.Client(trust_env=False) as client:
        return client.request(method, url, json=known["request"], headers=headers)


def shape(value: Any) -> Any:
    """Give the names and types of a JSON value; of a list those of its members, once each."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in sorted(value.items())}
    if isinstance(value, list):
        found: list[Any] = []
        for member in map(shape, value):
            if member not in found:
                found.append(member)
        return found
    return "number" if isinstance(value, int | float) else type(value).__name__


def events(text: str) -> list[Any]:
    """Take a stream apart, and give its events' shapes in order, those that repeat once.

    Each is one line `data: …` and an empty one; the last is `[DONE]`.
    """
    *parts, last = text.split("\n\n")
    assert last == ""
    assert all(part.startswith("data: ") and "\n" not in part for part in parts)
    assert parts.pop() == "data: [DONE]"
    found: list[Any] = []
    for part in parts:
        document = json.loads(part[6:])
        for choice in document["choices"]:
            # The fake ends in an event of its own; vLLM, where it ends by length, in the last
            # token's, whose probabilities it then tells.
            if choice["finish_reason"]:
                del choice["logprobs"]
        of_one = shape(document)
        if of_one not in found:
            found.append(of_one)
    return found


def test_all_cases_are_recorded() -> None:
    """What the recorder asks and what is kept is the same."""
    assert sorted(case.name for case in CASES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_status_and_type_are_the_real_ones(fake: FakeVllm, name: str) -> None:
    """Of answers and of refusals."""
    known = recording(name)
    answer = replayed(fake, known)
    assert answer.status_code == known["status"]
    if answer.content:
        assert answer.headers["content-type"] == known["content_type"]


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("stream") or n == "tool_call"])
def test_streams_have_the_real_fields(fake: FakeVllm, name: str) -> None:
    """Event by event, in the same order, and framed by the same bytes."""
    known = recording(name)
    assert events(replayed(fake, known).text) == events("\n".join(known["body"]))


@pytest.mark.parametrize("name", sorted(PLAIN & set(NAMES)))
def test_plain_answers_have_the_real_fields(fake: FakeVllm, name: str) -> None:
    """Lists, counts and errors."""
    known = recording(name)
    assert shape(replayed(fake, known).json()) == shape(json.loads("\n".join(known["body"])))


def test_metrics_are_among_the_real_ones(fake: FakeVllm) -> None:
    """Each has the real name, type and labels."""

    def named(lines: list[str]) -> set[tuple[str, tuple[str, ...]]]:
        found = set()
        for line in lines:
            name, _, rest = line.partition("{")
            labels = sorted(part.partition("=")[0] for part in rest.rpartition("}")[0].split(","))
            found.add((line, ()) if line.startswith("#") else (name, tuple(labels)))
        return found

    known = recording("metrics")
    ours = scrubbed("/metrics", replayed(fake, known).text)
    assert named(ours) <= named(known["body"])


def test_recordings_name_no_machine() -> None:
    """Neither paths nor times of where they were made."""
    for path in RECORDINGS.glob("*.json"):
        assert str(Path(__file__).parents[2]) not in path.read_text(encoding="utf-8")
