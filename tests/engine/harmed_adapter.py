"""An adapter whose weights are wrong on purpose: a gate must tell."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np

from tame_router.catalog.revision import Revision, read_revision

_LENGTH = struct.Struct("<Q")


def scale_adapter(source: Path, target: Path, expert: str, factor: float) -> Revision:
    """Copy an adapter with what its second matrices add multiplied.

    Args:
        source: A PEFT folder in bfloat16.
        target: Where the copy goes.
        expert: Whose it is to be.
        factor: By how much.
    """
    target.mkdir(parents=True)
    shutil.copy(source / "adapter_config.json", target)
    data = bytearray((source / "adapter_model.safetensors").read_bytes())
    begin = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    header = json.loads(data[_LENGTH.size : begin])
    for name, tensor in header.items():
        if "lora_B" not in name:
            continue
        assert tensor["dtype"] == "BF16"
        first, behind = (begin + offset for offset in tensor["data_offsets"])
        # numpy has no bfloat16: it is the upper half of a float32.
        halves = np.frombuffer(bytes(data[first:behind]), "<u2").astype("<u4") << 16
        scaled = halves.view("<f4") * np.float32(factor)
        data[first:behind] = (scaled.view("<u4") >> 16).astype("<u2").tobytes()
    (target / "adapter_model.safetensors").write_bytes(data)
    return read_revision(expert, target)
