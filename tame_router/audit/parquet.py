"""Records as a Parquet file, in pieces, so that memory stays the same however many there are."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tame_router.audit.entry import line_time
from tame_router.audit.reading import Reading
from tame_router.errors import UnsupportedError

ROW_GROUP = 10_000
"""Records in a row group."""

_TEXT = (
    "answer_id", "tenant", "subject", "method", "user", "edge", "operation", "outcome",
    "decision_reason", "stage", "join", "language", "classifier_digest", "policy_digest",
    "request_digest", "answer_digest", "chain",
)  # fmt: skip


def write_parquet(path: Path, lines: Iterable[str], reading: Reading) -> int:
    """Write the answers among the lines of an export, and give how many they are.

    Args:
        path: The file.
        lines: The lines.
        reading: Told of the lines; what has no place in the columns is left out and named there.

    Raises:
        UnsupportedError: When pyarrow is not installed.
        OSError: When the file cannot be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UnsupportedError(
            "Parquet needs pyarrow, which is not installed; pip install 'tame-router[parquet]'"
        ) from None
    schema = _schema(pyarrow)
    rows, count = _rows(lines, reading), 0
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, ROW_GROUP)):
            for table in _tables(pyarrow, schema, batch, reading):
                writer.write_table(table)
                count += table.num_rows
    return count


def _tables(
    pyarrow: Any, schema: Any, batch: list[dict[str, Any]], reading: Reading
) -> Iterator[Any]:
    """Give rows as a table; one by one where some were touched and fit no more."""
    try:
        yield pyarrow.Table.from_pylist(batch, schema=schema)
    except (pyarrow.ArrowException, ValueError, TypeError, AttributeError, OverflowError):
        if len(batch) > 1:
            for row in batch:
                yield from _tables(pyarrow, schema, [row], reading)
        else:
            reading.miss(str(batch[0]["chain"]), int(batch[0]["seq"]) - 1)


def _rows(lines: Iterable[str], reading: Reading) -> Iterator[dict[str, Any]]:
    for line in lines:
        value = reading.take(line)
        if value is not None and value["kind"] == "answer":
            try:
                begin = line_time(value)
            except (ValueError, TypeError, KeyError, OverflowError):
                reading.miss(str(value["chain"]), int(value["seq"]) - 1)
            else:
                yield {**value, "begin_time": begin}


def _schema(pyarrow: Any) -> Any:
    text, count, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
    expert = pyarrow.struct({"expert": text, "probability": real})
    step = pyarrow.struct(
        {
            "expert": text,
            "revision": text,
            "adapter_digest": text,
            "prompt_tokens": count,
            "completion_tokens": count,
            "finish_reason": text,
            "fallback": text,
        }
    )
    return pyarrow.schema(
        {
            **dict.fromkeys(_TEXT, text),
            "begin_time": pyarrow.timestamp("us", tz="UTC"),
            "elapsed_s": real,
            "time_to_first_token_s": real,
            "experts": pyarrow.list_(expert),
            "steps": pyarrow.list_(step),
            "seq": count,
        }
    )
