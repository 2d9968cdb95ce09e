"""Records as a Parquet file, in pieces, so that memory stays the same however many there are."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from tame_router.errors import UnsupportedError

ROW_GROUP = 10_000
"""Records in a row group."""

_TEXT = (
    "answer_id", "tenant", "subject", "method", "user", "edge", "operation", "outcome",
    "decision_reason", "stage", "join", "language", "classifier_digest", "policy_digest",
    "request_digest", "answer_digest", "chain",
)  # fmt: skip


def write_parquet(path: Path, lines: Iterable[str]) -> int:
    """Write the answers among the lines of an export, and give how many they are.

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
    rows, count = _rows(lines), 0
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, ROW_GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        value = json.loads(line)
        if value["kind"] == "answer":
            yield {**value, "begin_time": datetime.fromisoformat(value["begin_time"])}


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
