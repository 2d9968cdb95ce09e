"""What a local vLLM is started with."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tame_router.backends.engine.plugin import AdapterStore
from tame_router.backends.engine.spec import EngineSpec, arguments, check_spec, environment
from tame_router.errors import ConfigError


@pytest.fixture
def spec(tmp_path: Path) -> EngineSpec:
    """Give a specification whose files exist."""
    (tmp_path / "python").touch()
    for folder, file in (("base", "config.json"), ("legal", "adapter_config.json")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    return EngineSpec(
        python=tmp_path / "python",
        base_model=str(tmp_path / "base"),
        served_name="base",
        state_dir=tmp_path,
        log_path=tmp_path / "engine.log",
        adapters=(("legal--0123456789abcdef", tmp_path / "legal"),),
    )


def test_the_command_line_for_a_cpu(spec: EngineSpec) -> None:
    """On a CPU the folder is served eagerly, with the adapters under their revision names."""
    line = " ".join(arguments(spec, 8100))
    folder = spec.state_dir
    assert line.startswith(f"{folder}/python -m vllm.entrypoints.openai.api_server")
    for part in (
        f"--model {folder}/base --served-model-name base",
        "--host 127.0.0.1 --port 8100",
        "--dtype bfloat16 --max-model-len 2048 --enforce-eager",
        "--block-size 32",
        "--scheduling-policy priority",
        "--enable-lora --max-loras 4 --max-cpu-loras 8 --max-lora-rank 16",
        f"--lora-modules legal--0123456789abcdef={folder}/legal",
    ):
        assert part in line
    assert "--tensor-parallel-size" not in line


def test_the_command_line_for_four_gpus(spec: EngineSpec) -> None:
    """On GPUs the same function names the hub's base model, compiles, and shares it."""
    gpu = replace(
        spec,
        device="cuda",
        base_model="yentinglin/Llama-3-Taiwan-70B-Instruct",
        tensor_parallel_size=4,
        adapters=(),
        max_loras=8,
        extra_args=("--gpu-memory-utilization", "0.8"),
    )
    line = " ".join(arguments(gpu, 8100))
    assert "--model yentinglin/Llama-3-Taiwan-70B-Instruct" in line
    assert "--tensor-parallel-size 4" in line
    assert "--max-loras 8 --max-cpu-loras 16" in line
    assert "--enforce-eager" not in line
    assert "--block-size" not in line
    assert "--lora-modules" not in line
    assert line.endswith("--gpu-memory-utilization 0.8")


def test_the_environment_keeps_the_users_choices(spec: EngineSpec) -> None:
    """What is set for vLLM wins over ours; what is meant for this Python does not get there."""
    inherited = {
        "VLLM_CPU_KVCACHE_SPACE": "9",
        "PYTHONPATH": "/here",
        "VIRTUAL_ENV": "/v",
        "A": "b",
    }
    result = environment(spec, inherited, "key")
    assert result["VLLM_CPU_KVCACHE_SPACE"] == "9"
    assert result["VLLM_API_KEY"] == "key"
    assert result["HF_HUB_OFFLINE"] == "1"
    assert result["A"] == "b"
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(result)


def test_a_hub_name_may_be_fetched(spec: EngineSpec) -> None:
    """A base model that is no folder needs the hub, and on a GPU no CPU settings are made."""
    result = environment(replace(spec, base_model="a/b", device="cuda"), {}, "")
    assert "HF_HUB_OFFLINE" not in result
    assert not any(name.startswith("VLLM_CPU") for name in result)


def test_a_whole_specification_passes(spec: EngineSpec) -> None:
    """Nothing is refused where every file is there."""
    check_spec(spec)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("python", r"engine\.python: .* does not exist"),
        ("base/config.json", r"engine\.base_model: .* holds no config\.json"),
        ("legal/adapter_config.json", "adapter legal--0123456789abcdef: .* holds no"),
    ],
)
def test_missing_files_are_named_before_the_start(
    spec: EngineSpec, file: str, message: str
) -> None:
    """Each missing file stops the start, with what to do."""
    (spec.state_dir / file).unlink()
    with pytest.raises(ConfigError, match=message):
        check_spec(spec)


@pytest.mark.parametrize("arguments_", [("--api-key", "k"), ("--api-key=k",)])
def test_a_key_among_the_arguments_is_refused(
    spec: EngineSpec, arguments_: tuple[str, ...]
) -> None:
    """A key on the command line could be read by every user of the machine."""
    with pytest.raises(ConfigError, match="--api-key"):
        check_spec(replace(spec, extra_args=arguments_))


def test_a_rank_that_vllm_does_not_take_is_refused(spec: EngineSpec) -> None:
    """The message lists the ranks there are."""
    with pytest.raises(ConfigError, match=r"engine\.max_lora_rank: 20 .* 16, 32"):
        check_spec(replace(spec, max_lora_rank=20))


def test_tools_need_a_parser(spec: EngineSpec) -> None:
    """Where the base model's way to write calls is known vLLM reads them, else it refuses tools."""
    line = " ".join(arguments(replace(spec, tool_call_parser="hermes"), 8100))
    assert "--enable-auto-tool-choice --tool-call-parser hermes" in line
    assert "--tool-strict-level parameter" in line
    assert "--enable-auto-tool-choice" not in arguments(spec, 8100)


def test_json_is_held_without_blanks(spec: EngineSpec) -> None:
    """Blanks between the parts of a JSON answer are left out, and the argument is whole."""
    line = arguments(spec, 8100)
    assert json.loads(line[line.index("--structured-outputs-config") + 1]) == {
        "backend": "xgrammar",
        "disable_any_whitespace": True,
    }


def test_template_and_traces_where_they_are_asked_for(spec: EngineSpec) -> None:
    """A template of one's own, and a collector; neither without being asked for."""
    template = spec.state_dir / "chat.jinja"
    template.touch()
    asked = replace(spec, chat_template=template, otlp_endpoint="http://127.0.0.1:4317")
    check_spec(asked)
    line = " ".join(arguments(asked, 8100))
    assert f"--chat-template {template}" in line
    assert "--otlp-traces-endpoint http://127.0.0.1:4317" in line
    assert not {"--chat-template", "--otlp-traces-endpoint"} & set(arguments(spec, 8100))


def test_a_missing_template_is_named(spec: EngineSpec) -> None:
    """Before vLLM has spent half a minute to say so."""
    with pytest.raises(ConfigError, match=r"engine\.chat_template: .*absent\.jinja does not exist"):
        check_spec(replace(spec, chat_template=Path("absent.jinja")))


@pytest.fixture
def loading(spec: EngineSpec) -> EngineSpec:
    """Give a specification of an engine that loads revisions by name."""
    store = AdapterStore(url="s3://adapters", cache=Path("copies"), experts=("legal", "medical"))
    return replace(spec, adapter_store=store)


def test_an_engine_that_loads_by_name_closes_its_other_doors(loading: EngineSpec) -> None:
    """What lets vLLM ask the resolver opens routes too: the middleware always comes with it."""
    line = " ".join(arguments(loading, 8100))
    variables = environment(loading, {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "0"}, "key")
    assert "--middleware tame_router.vllm_plugin.middleware.ClosedLoraRoutes" in line
    assert variables["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert variables["PYTHONPATH"] == str(loading.state_dir / "engine" / "plugin")
    assert variables["PYTHONSAFEPATH"] == "1"
    assert variables["TAME_ADAPTER_STORE"] == "s3://adapters"
    assert variables["TAME_ADAPTER_CACHE"] == str(Path("copies").absolute())
    assert variables["TAME_ADAPTER_EXPERTS"] == "legal,medical"
    assert "VLLM_PLUGINS" not in variables


def test_vllms_own_resolvers_stay_out(loading: EngineSpec) -> None:
    """They load by unchecked paths, or from the hub, and would be asked for what ours refuses."""
    inherited = {"VLLM_LORA_RESOLVER_CACHE_DIR": "/x", "VLLM_LORA_RESOLVER_HF_REPO_LIST": "a/b"}
    assert not set(inherited) & set(environment(loading, inherited, "key"))


def test_a_list_of_plugins_is_kept_and_gets_ours(loading: EngineSpec) -> None:
    """Whoever names plugins leaves the others out, and would leave out this one."""
    variables = environment(loading, {"VLLM_PLUGINS": "mine"}, "key")
    assert variables["VLLM_PLUGINS"] == "mine,tame_adapters"


def test_without_a_store_nothing_is_loaded_by_name(spec: EngineSpec) -> None:
    """Neither plugin nor middleware, and no variable that opens a route."""
    assert "--middleware" not in arguments(spec, 8100)
    variables = environment(spec, {}, "key")
    assert not {"VLLM_ALLOW_RUNTIME_LORA_UPDATING", "PYTHONPATH"} & set(variables)
