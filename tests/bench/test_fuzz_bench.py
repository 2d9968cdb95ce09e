"""The fuzzers of both ports, in short."""

import json
import subprocess
import sys
from random import Random

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from bench.fuzzing.drive import Inputs, Met, drive
from bench.fuzzing.json_bodies import SEEDS, bodies, encode, grown
from bench.fuzzing.mangling import mangled
from bench.fuzzing.proto_calls import VALID, calls, methods
from bench.fuzzing.proto_wire import varint
from tame_router.v1 import router_service_pb2


@pytest.mark.timeout(300)
def test_nothing_breaks_the_service() -> None:
    """Some seconds of schemathesis, JSON bodies and proto bytes find no 500, crash or leak."""
    command = [sys.executable, "-m", "bench.fuzz", "--json", "--seconds=3", "--seed=7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {"schemathesis", "json", "proto"}
    assert all(part["requests"] > 10 and not part["faults"] for part in found.values())
    assert found["json"]["statuses"]["HTTP 200"] > 0


def test_unchanged_bodies_are_what_they_were() -> None:
    """A body's tree is written as the JSON that it was grown from."""
    for body in SEEDS:
        assert json.loads(encode(grown(body))) == body


def test_every_method_has_valid_messages() -> None:
    """A method whose messages are all refused is not fuzzed behind its first check."""
    known = {message.DESCRIPTOR for message in VALID}
    assert [method.name for method in methods() if method.input_type not in known] == []


@given(st.integers(0, 2**64 - 1))
def test_numbers_are_written_as_protobuf_reads_them(number: int) -> None:
    """A varint of ours is one."""
    data = b"\x40" + varint(number)  # field 8, choices
    try:
        read = router_service_pb2.ChatRequest.FromString(data).choices
    except DecodeError:
        pytest.fail(f"{number} is written as {data!r}")
    assert read % 2**32 == number % 2**32


@given(st.binary(max_size=60), st.integers(0, 2**32))
def test_bytes_are_mangled_alike_every_time(data: bytes, seed: int) -> None:
    """What a seed did to bytes, it does again: a failing input can be shown twice."""
    pieces = (b"a", b"bc")
    assert mangled(data, Random(seed), pieces) == mangled(data, Random(seed), pieces)


def test_a_fault_is_found_made_small_and_counted_once() -> None:
    """The smallest failing input is told, and the fault does not end the run."""
    inputs = Inputs(
        drawn=st.integers(0, 100_000),
        varied=lambda one, random: one,
        send=lambda one: Met(status="sent", fault="too large" if one > 999 else ""),
        tell=str,
    )
    tally = drive(inputs, seconds=1, first_seed=1)
    assert tally.failures == {"too large": "1000"}
    assert tally.requests > 1_000


@given(bodies(), calls())
def test_inputs_can_be_drawn(body: bytes, call: object) -> None:
    """Drawing never fails by itself."""
    assert isinstance(body, bytes)
    assert call
