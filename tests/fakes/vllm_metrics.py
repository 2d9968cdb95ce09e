"""The fake vLLM's `/metrics`: the lines that matter of vLLM 0.32's, with its names and labels."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a fake says of itself beside what it does.

    Attributes:
        elsewhere: Answers under way that nobody asked for here.
        waiting: Answers that wait.
        cache_usage: Share of the KV cache in use.
        max_loras: Adapters that have room at once; 0: it serves none, and says nothing of them.
        adapters: Sets of adapters that answers ran with, the latest last.
        started_at: When the process started, Unix time.
        status: What `/metrics` answers with.
    """

    elsewhere: float = 0.0
    waiting: float = 0.0
    cache_usage: float = 0.0
    max_loras: int = 4
    adapters: tuple[tuple[str, ...], ...] = ()
    started_at: float = 1_800_000_000.25
    status: int = 200


def page(figures: Figures, base_model: str, running: int, finished: Mapping[str, int]) -> str:
    """Write the page."""
    labels = f'engine="0",model_name="{base_model}"'
    lines = [
        "# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.",
        "# TYPE process_start_time_seconds gauge",
        f"process_start_time_seconds {figures.started_at!r}",
        "# HELP vllm:num_requests_running Number of requests in model execution batches.",
        "# TYPE vllm:num_requests_running gauge",
        f"vllm:num_requests_running{{{labels}}} {running + figures.elsewhere}",
        "# HELP vllm:num_requests_waiting Number of requests waiting to be processed.",
        "# TYPE vllm:num_requests_waiting gauge",
        f"vllm:num_requests_waiting{{{labels}}} {figures.waiting}",
        "# TYPE vllm:num_requests_waiting_by_reason gauge",
        f'vllm:num_requests_waiting_by_reason{{{labels},reason="capacity"}} {figures.waiting}',
        "# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.",
        "# TYPE vllm:kv_cache_usage_perc gauge",
        f"vllm:kv_cache_usage_perc{{{labels}}} {figures.cache_usage}",
        "# TYPE vllm:request_success_total counter",
        *(
            f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {float(count)}'
            for reason, count in finished.items()
        ),
    ]
    if figures.max_loras:
        lines += [
            "# HELP vllm:lora_requests_info Running stats on lora requests.",
            "# TYPE vllm:lora_requests_info gauge",
            *(
                f'vllm:lora_requests_info{{max_lora="{figures.max_loras}",running_lora_adapters='
                f'"{",".join(names)}",waiting_lora_adapters=""}} {1.8e9 + number!r}'
                for number, names in enumerate(figures.adapters)
            ),
        ]
    return "\n".join(lines) + "\n"
