"""The trace's context: taken from callers, checked, and passed on."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.telemetry.trace import MAX_STATE_CHARS, Tracing, read_carrier

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def passed_on(*headers: tuple[str, object]) -> dict[str, str]:
    """Give the headers that a backend gets, where no span is kept."""
    span = Tracing().begin("Chat", read_carrier(headers), {})
    return span.child("chat legal", {}).headers()


def test_the_context_passes_through() -> None:
    """Without a collector the backend gets the caller's context as it came."""
    headers = (("user-agent", "x"), ("traceparent", PARENT), ("tracestate", "a=1,b=2"))
    assert passed_on(*headers) == {"traceparent": PARENT, "tracestate": "a=1,b=2"}
    assert passed_on() == {}


def test_two_states_are_one_list() -> None:
    """A state in two headers is one, in their order."""
    headers = (("tracestate", "a=1"), ("traceparent", PARENT), ("tracestate", "b=2"))
    assert passed_on(*headers)["tracestate"] == "a=1,b=2"


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "x",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"{PARENT}\r\nx-admin: yes",
    ],
)
def test_a_malformed_parent_does_not_count(parent: str) -> None:
    """What the standard does not allow is ignored, and so is its state."""
    assert passed_on(("traceparent", parent), ("tracestate", "a=1")) == {}


def test_contradictions_and_endless_states_do_not_count() -> None:
    """Two parents are none; a state beyond 512 characters is dropped, its parent is not."""
    assert passed_on(("traceparent", PARENT), ("traceparent", PARENT)) == {}
    long = "a=" + "1" * MAX_STATE_CHARS
    assert passed_on(("traceparent", PARENT), ("tracestate", long)) == {"traceparent": PARENT}


@given(st.text(), st.text())
def test_nothing_but_a_context_is_passed_on(parent: str, state: str) -> None:
    """Whatever comes, what goes on to the backend is well formed or nothing."""
    headers = passed_on(("traceparent", parent), ("tracestate", state))
    assert set(headers) <= {"traceparent", "tracestate"}
    if headers:
        assert re.fullmatch(
            r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", headers["traceparent"]
        )


@given(st.text())
def test_a_state_never_breaks_a_header(state: str) -> None:
    """A strange state is dropped or passed on in printable characters."""
    headers = passed_on(("traceparent", PARENT), ("tracestate", state))
    assert headers["traceparent"] == PARENT
    assert headers.get("tracestate", "").isprintable()
    assert headers.get("tracestate", "").isascii()


def test_a_span_that_is_not_kept_takes_everything() -> None:
    """Where nothing is kept, a span has no trace to show and takes every word."""
    span = Tracing().begin("Chat", {}, {})
    span.rename("chat")
    span.put({"a": 1})
    span.fail("INTERNAL")
    span.end()
    assert span.trace_id == ""
    assert span.headers() == {}
