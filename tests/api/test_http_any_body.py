"""Any body is read or refused, and any text is sent as it is."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering.event import Delta
from tame_router.api.openai_error import error_body, status_of
from tame_router.api.openai_request import read_chat
from tame_router.api.openai_stream import ChunkWriter, escaped
from tame_router.config import LimitSettings
from tame_router.errors import TameError
from tests.scripted_desk import BEGIN, REVISION

LIMITS = LimitSettings(max_messages=4, max_text_bytes=1000)
BASE: dict[str, Any] = {"model": "tame-auto", "messages": [{"role": "user", "content": "hi"}]}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "model",
        "messages",
        "n",
        "stop",
        "tools",
        "tool_choice",
        "response_format",
        "seed",
        "tame",
        "documents",
        "stream_options",
        "metadata",
        "logit_bias",
        "temperature",
        "user",
    ]
)


def require_told(body: bytes) -> None:
    """Read a body, or see it refused as the caller's fault in a body that is JSON."""
    told: TameError | None = None
    try:
        read_chat(body, LIMITS)
    except TameError as error:
        told = error
    assert told is None or status_of(told) == 400
    assert told is None or json.loads(error_body(told))["error"]["message"]


@given(st.dictionaries(FIELDS, JSON_VALUES))
def test_any_values_are_read_or_refused(changes: dict[str, Any]) -> None:
    """No JSON in any field is more than a refusal."""
    require_told(json.dumps({**BASE, **changes}).encode())


@given(st.binary())
def test_any_bytes_are_refused(body: bytes) -> None:
    """No bytes are more than a refusal."""
    require_told(body)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_survives_the_escape(text: str) -> None:
    """The hand-made chunk is one line, valid JSON, and holds exactly the text."""
    assert json.loads(escaped(text)) == text
    writer = ChunkWriter(BEGIN[0], REVISION, "", created=1, include_usage=False)  # type: ignore[arg-type]
    data = writer.delta(Delta(expert="legal", revision=REVISION, text=text))
    assert data.startswith(b"data: ")
    assert data.endswith(b"\n\n")
    line = data[len(b"data: ") : -2]
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line)["choices"][0]["delta"]["content"] == text
