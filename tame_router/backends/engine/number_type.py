"""Which numbers a local engine computes with: bfloat16, or float32 where the CPU knows no other."""

from pathlib import Path
from typing import Final

CPU_INFO: Final = Path("/proc/cpuinfo")

_INSTRUCTIONS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What x86 and Arm call their instructions for bfloat16."""


def number_type(*, cuda: bool, cpu_info: Path = CPU_INFO) -> str:
    """Choose the type, by vLLM's name.

    A CPU without instructions for bfloat16 widens each number and cuts it again: multiplying
    the embedded base model's matrices took one core seven times as long as with float32.

    Args:
        cuda: The engine computes on a GPU.
        cpu_info: Where the kernel tells what the CPU can; where nothing can be read, it counts as
            a recent one.
    """
    if cuda:
        return "bfloat16"
    try:
        told = cpu_info.read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return "bfloat16"
    flags = {
        flag
        for line in told.splitlines()
        if line.startswith(("flags", "features"))
        for flag in line.partition(":")[2].split()
    }
    return "float32" if flags and not flags & _INSTRUCTIONS else "bfloat16"
