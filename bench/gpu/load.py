"""Many answers at once from an OpenAI endpoint, and what they took: tokens, waits, gaps.

The same reader stands before the engine and before the router, so what it costs itself is in
both.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_PATIENCE_S = 600.0
_DATA = b"data: "
_DONE = b"data: [DONE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Who is asked.

    Attributes:
        url: Address of the API, with its /v1.
        key: Its key; empty: none.
    """

    url: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What answers took; times in milliseconds, None where there was nothing to measure.

    Attributes:
        answers: Answers that came whole.
        failed: Those that did not.
        tokens: Tokens that were written, as the server counts them.
        prompt_tokens: Tokens that an answer's question had, on average.
        tokens_s: Tokens written each second, of all streams together.
        ttft_ms_p50: Time to the first words.
        ttft_ms_p99: The same of the slowest hundredth.
        gap_ms_p50: Time between words and the next ones of the same answer.
        gap_ms_p99: The same of the slowest hundredth.
    """

    answers: int
    failed: int
    tokens: int
    prompt_tokens: float
    tokens_s: float
    ttft_ms_p50: float | None
    ttft_ms_p99: float | None
    gap_ms_p50: float | None
    gap_ms_p99: float | None


@dataclass(slots=True)
class _Seen:
    """What has been seen so far; times in seconds."""

    failed: int = 0
    first: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)


async def load(endpoint: Endpoint, asks: Sequence[Mapping[str, Any]], streams: int) -> Figures:
    """Ask all, so many at once, and give what it took.

    Args:
        endpoint: Who is asked.
        asks: Bodies of requests, at least one, without what makes them streams.
        streams: Answers under way at once, ≥ 1.
    """
    seen, left = _Seen(), iter(asks)
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    connector = aiohttp.TCPConnector(limit=0)
    begun = time.perf_counter()
    async with aiohttp.ClientSession(
        headers=headers, timeout=timeout, connector=connector
    ) as session:
        url = f"{endpoint.url}/chat/completions"
        async with asyncio.TaskGroup() as group:
            for _ in range(streams):
                group.create_task(_stream_on(session, url, left, seen))
    return _figures(seen, time.perf_counter() - begun)


async def _stream_on(
    session: aiohttp.ClientSession, url: str, left: Iterator[Mapping[str, Any]], seen: _Seen
) -> None:
    for ask in left:
        try:
            await _answer(session, url, ask, seen)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            seen.failed += 1


async def _answer(
    session: aiohttp.ClientSession, url: str, ask: Mapping[str, Any], seen: _Seen
) -> None:
    body = {**ask, "stream": True, "stream_options": {"include_usage": True}}
    usage: Mapping[str, int] = {}
    whole = False
    last = begun = time.perf_counter()
    first: float | None = None
    gaps: list[float] = []
    async with session.post(url, json=body) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(_DONE):
                whole = True
            elif line.startswith(_DATA):
                event = json.loads(line[len(_DATA) :])
                usage = event.get("usage") or usage
                if _has_words(event):
                    now = time.perf_counter()
                    if first is None:
                        first = now - begun
                    else:
                        gaps.append(now - last)
                    last = now
    if not whole or first is None or not usage:
        raise ValueError("the answer did not come whole")
    seen.first.append(first)
    seen.gaps += gaps
    seen.written.append(usage["completion_tokens"])
    seen.read.append(usage["prompt_tokens"])


def _has_words(event: Mapping[str, Any]) -> bool:
    return any((choice.get("delta") or {}).get("content") for choice in event.get("choices", ()))


def _figures(seen: _Seen, seconds: float) -> Figures:
    tokens = sum(seen.written)
    return Figures(
        answers=len(seen.written),
        failed=seen.failed,
        tokens=tokens,
        prompt_tokens=round(statistics.fmean(seen.read), 1) if seen.read else 0.0,
        tokens_s=round(tokens / seconds, 1),
        ttft_ms_p50=_percentile(seen.first, 50),
        ttft_ms_p99=_percentile(seen.first, 99),
        gap_ms_p50=_percentile(seen.gaps, 50),
        gap_ms_p99=_percentile(seen.gaps, 99),
    )


def _percentile(times_s: Sequence[float], percent: int) -> float | None:
    """Give a percentile in milliseconds, one of the times themselves; of none, None."""
    if not times_s:
        return None
    ordered = sorted(times_s)
    at = -(-len(ordered) * percent // 100) - 1
    return round(ordered[at] * 1e3, 2)
