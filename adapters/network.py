"""A base model and its adapters as torch modules: load, add, measure, save.

The one module here that imports torch, transformers and PEFT; each inside a function, so
that `--help` and bad data cost nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.batch import Batch, Passage, pack, split

ROOT = Path(__file__).resolve().parent.parent
BASE_MODEL = ROOT / ".tame" / "base_models" / "smollm2-135m-instruct"
"""Where the set-up puts the embedded base model."""

MERGED = "merged"
"""Name, on the network, of the adapter that was made of several."""

MAX_ROW_TOKENS = 768
"""Pair tokens in one row of a measurement; bounds memory, changes no figure."""


def pick_device(name: str) -> str:
    """Resolve `auto` to `cuda` where there is a GPU, else `cpu`."""
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def load(base_model: str, device: str) -> tuple[Any, Any]:
    """Load a base model and its tokenizer; bfloat16 on a GPU, float32 with autocast on a CPU."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    network = AutoModelForCausalLM.from_pretrained(base_model, dtype=dtype).to(device)
    return network, tokenizer


def answer_loss(network: Any, batch: Batch, device: str, *, mixed: bool = True) -> Any:
    """Give the summed cross-entropy of a row's answer tokens, in nats.

    Only answer positions go through the output layer, which is a fifth of the embedded
    base model's arithmetic.

    Args:
        network: The base model, with or without adapters on.
        batch: The row.
        device: Where it computes.
        mixed: Multiply in bfloat16. On a CPU that has none, that takes six times as long.
    """
    import torch

    causal = network.get_base_model() if hasattr(network, "get_base_model") else network
    with torch.autocast(device, torch.bfloat16, enabled=mixed):
        hidden = causal.model(
            input_ids=batch.tokens.to(device),
            position_ids=batch.positions.to(device),
            attention_mask=batch.mask.to(device),
            use_cache=False,
        ).last_hidden_state
        logits = causal.lm_head(hidden[0, batch.sources.to(device)])
    return torch.nn.functional.cross_entropy(
        logits.float(), batch.targets.to(device), reduction="sum"
    )


def mean_loss(
    network: Any,
    prefix: Sequence[int],
    passages: Sequence[Passage],
    device: str,
    *,
    mixed: bool = True,
) -> float:
    """Give the mean loss of an answer token over all passages, in nats; `mixed` as above."""
    import torch

    total, count = 0.0, 0
    network.eval()
    with torch.no_grad():
        for group in split(passages, max_tokens=MAX_ROW_TOKENS):
            batch = pack(prefix, group)
            total += float(answer_loss(network, batch, device, mixed=mixed))
            count += len(batch.targets)
    return total / count


def add_adapter(network: Any, *, rank: int, alpha: int, seed: int) -> Any:
    """Put a fresh LoRA adapter on every linear layer but the output."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(network, config)


def put_on(network: Any, folders: Mapping[str, Path]) -> Any:
    """Put several adapters on a base model, each under a name of its own.

    Args:
        network: The base model.
        folders: PEFT folders by name; at least one. The first is the one that acts.
    """
    from peft import PeftModel

    first, *others = folders
    worn = PeftModel.from_pretrained(network, folders[first], adapter_name=first)
    for name in others:
        worn.load_adapter(folders[name], adapter_name=name)
    return worn


def merge_adapters(
    network: Any, weights: Mapping[str, float], *, kind: str, density: float | None, seed: int
) -> None:
    """Make one adapter, `MERGED`, of several that are on; it is the one that acts then.

    Args:
        network: A base model with adapters on.
        weights: How much each of them counts, by name.
        kind: PEFT's `combination_type`.
        density: Share of values that TIES and DARE keep, in (0, 1]; None for the others.
        seed: Of what DARE leaves out by chance.

    Source: PEFT, `LoraModel.add_weighted_adapter`.
    """
    import torch

    if MERGED in network.peft_config:
        network.set_adapter(next(iter(weights)))
        network.delete_adapter(MERGED)
    torch.manual_seed(seed)
    network.base_model.add_weighted_adapter(
        list(weights),
        list(weights.values()),
        MERGED,
        combination_type=kind,
        density=density,
        svd_full_matrices=False,  # the same, without what is cut away anyhow
    )
    network.set_adapter(MERGED)


def save_adapter(
    network: Any, folder: Path, base_model_name: str, adapter: str = "default"
) -> None:
    """Write an adapter as PEFT does: bfloat16 weights and a configuration.

    Names are sorted and the base model is named, not placed, so that equal weights give
    equal bytes on every machine.

    Args:
        network: A base model with the adapter on.
        folder: Where it goes; made where it is not there.
        base_model_name: Written into the configuration.
        adapter: Its name on the network.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    # PEFT would ask the hub whether the vocabulary has grown; no layer of it is adapted.
    found = get_peft_model_state_dict(network, adapter_name=adapter, save_embedding_layers=False)
    weights = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in found.items()
    }
    config = network.peft_config[adapter].to_dict()
    config.update(base_model_name_or_path=base_model_name, inference_mode=True)
    config["target_modules"] = sorted(config["target_modules"])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    # safetensors makes files for their owner alone; an engine may run as another user.
    (folder / "adapter_model.safetensors").chmod(0o644)
    (folder / "adapter_config.json").write_text(
        json.dumps(config, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8"
    )
