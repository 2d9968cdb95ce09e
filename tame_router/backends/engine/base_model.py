"""Which base model the local engine serves, and under which name."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tame_router.catalog.base_model_name import canonical_name

EMBEDDED = "smollm2-135m-instruct"
"""The base model that the set-up builds for machines without a GPU."""

FOR_CUDA = "yentinglin/Llama-3-Taiwan-8B-Instruct"
"""Hub name of the base model for machines with one."""


_PARSERS: Final = ((EMBEDDED, "hermes"), ("llama-3-taiwan", "llama3_json"))
_TEMPLATE: Final = Path(__file__).with_name("smollm2_tools.jinja")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """A base model.

    Attributes:
        source: Folder or hub name that the engine loads.
        served_name: Name that the engine gives it.
    """

    source: str
    served_name: str

    @property
    def tool_call_parser(self) -> str:
        """Name by which vLLM knows how it writes tool calls; empty: not known."""
        name = canonical_name(self.source)
        return next((parser for start, parser in _PARSERS if name.startswith(start)), "")

    @property
    def chat_template(self) -> Path | None:
        """A template of ours, for the one whose own knows no tools; None: its own is used."""
        return _TEMPLATE if canonical_name(self.source) == EMBEDDED else None


def cuda_present() -> bool:
    """Tell whether this machine has a CUDA GPU and its driver."""
    devices = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # the second one under WSL
    return shutil.which("nvidia-smi") is not None and any(device.exists() for device in devices)


def choose_base_model(source: str, served_name: str, state_dir: Path, *, cuda: bool) -> BaseModel:
    """Choose the base model.

    Args:
        source: Folder or hub name from the configuration; empty: the one for this machine.
        served_name: Name from the configuration; empty: the last part of the source, lower-case.
        state_dir: Folder in which the set-up has put the embedded base model.
        cuda: The machine has a CUDA GPU.
    """
    if not source:
        source = FOR_CUDA if cuda else str(state_dir / "base_models" / EMBEDDED)
    return BaseModel(source=source, served_name=served_name or canonical_name(source))
