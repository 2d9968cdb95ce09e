"""What a stream of weights keeps of them: nothing."""

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from tame_router.registry.reason import Reason
from tame_router.registry.validation.safetensors_header import MOST_HEADER_BYTES
from tame_router.registry.validation.safetensors_stream import SafetensorsStream
from tests.registry.validation.upload import framed

MIB = 2**20


@pytest.fixture
def traced() -> Iterator[None]:
    """Count the memory that the test takes."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize(("dtype", "size"), [("F32", 4), ("F16", 2), ("BF16", 2)])
def test_memory_does_not_grow_with_the_weights(traced: None, dtype: str, size: int) -> None:
    """Of 16 MiB that stream through, a few pieces are in memory at once."""
    count = 16 * MIB // size
    entry = {"dtype": dtype, "shape": [count], "data_offsets": [0, 16 * MIB]}
    head = framed(json.dumps({"a": entry}).encode())
    stream = SafetensorsStream(len(head) + 16 * MIB)
    piece = b"\0\x3c" * (MIB // 2)
    assert stream.feed(memoryview(head)) == []
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(16):
        assert stream.feed(memoryview(piece)) == []
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < 4 * MIB
    assert stream.squares["a"] > 0


@pytest.mark.parametrize("filling", [b"[],", b'{"":0},'])
def test_no_header_takes_much_memory(traced: None, filling: bytes) -> None:
    """A header that is made to be large when it is parsed stays under 100 MB."""
    inner = filling * ((MOST_HEADER_BYTES - 64) // len(filling))
    header = b'{"a":[' + inner + b"0]}"
    stream = SafetensorsStream(len(header) + 8)
    (finding,) = stream.feed(memoryview(framed(header)))
    assert finding.reason is Reason.HEADER_MALFORMED
    _, peak = tracemalloc.get_traced_memory()
    assert peak < 100 * MIB


def test_nothing_is_taken_after_a_fault() -> None:
    """Bytes behind a header that cannot be read are passed over."""
    stream = SafetensorsStream(1000)
    assert stream.feed(memoryview(framed(b"{}" + b" " * 80)))
    assert stream.feed(memoryview(b"x" * 500)) == []
    assert stream.broken
