"""What is read from a vLLM server's `/metrics`."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tame_router.backends.vllm.metrics import EngineMetrics, parse_metrics
from tame_router.errors import BackendProtocolError

PAGE = """\
# HELP python_gc_objects_collected_total Objects collected during gc
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="0"} 12531.0
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 8.58849280e+08
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.79641243618e+09
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="smollm2-135m-instruct"} 3.0
vllm:num_requests_running{engine="1",model_name="smollm2-135m-instruct"} 2.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="smollm2-135m-instruct"} 7.0
vllm:num_requests_waiting{engine="1",model_name="smollm2-135m-instruct"} 0.0
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 7.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="deferred"} 0.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="smollm2-135m-instruct"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="smollm2-135m-instruct"} 0.9375
# HELP vllm:lora_requests_info Running stats on lora requests.
# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{max_lora="4",running_lora_adapters="",waiting_lora_adapters=""} 1.7964125e+09
vllm:lora_requests_info{max_lora="4",running_lora_adapters="legal--0123456789abcdef,medical--fedcba9876543210",waiting_lora_adapters=""} 1.7964127e+09
vllm:lora_requests_info{max_lora="4",running_lora_adapters="hospital--00000000000000aa",waiting_lora_adapters="legal--0123456789abcdef"} 1.7964126e+09
"""  # noqa: E501 - as it is written
"""Lines as vLLM 0.32 writes them, by its loggers.py, of two engines with room for four adapters."""


def test_a_page_of_vllm() -> None:
    """Engines are added up, the fullest cache counts, and of adapters the latest line does."""
    assert parse_metrics(PAGE) == EngineMetrics(
        running=5,
        waiting=7,
        cache_usage=0.9375,
        adapters=("legal--0123456789abcdef", "medical--fedcba9876543210"),
        max_loras=4,
        started_at=1796412436.18,
    )


def test_a_server_without_adapters() -> None:
    """What is not told is not known."""
    told = parse_metrics('vllm:num_requests_waiting{engine="0"} 1.0')
    assert told == EngineMetrics(waiting=1)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1.0", "much"])
def test_values_that_cannot_be_meant(value: str) -> None:
    """They count as none."""
    lines = f"vllm:num_requests_running 1\nvllm:kv_cache_usage_perc {value}\n"
    assert parse_metrics(lines) == EngineMetrics(running=1)


@pytest.mark.parametrize("page", ["", "<html></html>", "process_start_time_seconds 1.0\n"])
def test_a_page_of_something_else(page: str) -> None:
    """It is refused, so that its silence is not taken for an empty queue."""
    with pytest.raises(BackendProtocolError, match="expected the page of a vLLM server"):
        parse_metrics(page)


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20),
    st.floats(0, 1e9),
)
def test_as_the_client_library_reads_it(name: str, value: float) -> None:
    """Whatever a label holds, this reads what prometheus-client reads."""
    escaped = name.replace("\\", r"\\").replace('"', r"\"")
    page = (
        f'vllm:num_requests_running{{model_name="{escaped}"}} {value!r}\n'
        f'vllm:lora_requests_info{{max_lora="2",running_lora_adapters="{escaped}"}} 1.0\n'
    )
    families = {one.name: one.samples for one in text_string_to_metric_families(page)}
    told = parse_metrics(page)
    assert math.isclose(families["vllm:num_requests_running"][0].value, told.running)
    (sample,) = families["vllm:lora_requests_info"]
    names = sample.labels["running_lora_adapters"].split(",")
    assert told.adapters == tuple(filter(None, names))
