"""Which numbers a local engine computes with."""

from pathlib import Path

import pytest

from tame_router.backends.engine.number_type import number_type


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile\n", "bfloat16"),
        ("flags\t\t: fpu avx2 amx_bf16\n", "bfloat16"),
        ("Features\t: fp asimd bf16 i8mm\n", "bfloat16"),
        ("model name\t: one with bf16 in its name\nflags\t\t: fpu avx2 f16c\n", "float32"),
        ("Features\t: fp asimd\n", "float32"),
        ("nothing that is known\n", "bfloat16"),
    ],
)
def test_a_cpu_computes_with_what_it_has_instructions_for(
    tmp_path: Path, told: str, expected: str
) -> None:
    """Only a CPU that says that it has none for bfloat16 is spared it."""
    file = tmp_path / "cpuinfo"
    file.write_text(told, encoding="utf-8")
    assert number_type(cuda=False, cpu_info=file) == expected


def test_gpus_and_unknown_machines_use_bfloat16(tmp_path: Path) -> None:
    """A GPU has it whatever the CPU beside it is; where nothing is told, it is tried."""
    file = tmp_path / "cpuinfo"
    assert number_type(cuda=False, cpu_info=file) == "bfloat16"
    file.write_text("flags: avx2\n", encoding="utf-8")
    assert number_type(cuda=True, cpu_info=file) == "bfloat16"
