"""The keys of `adapter_config.json`, by what they do to what an adapter computes. Values only.

Source: PEFT 0.21, `tuners/lora/config.py`.
"""

from collections.abc import Mapping
from typing import Final

VARIANTS: Final[Mapping[str, str]] = {
    "alora_invocation_tokens": "aLoRA",
    "arrow_config": "Arrow",
    "kasa_config": "KaSA",
    "layer_replication": "layer replication",
    "lora_bias": "a bias in B",
    "megatron_config": "Megatron",
    "monteclora_config": "MonteCLoRA",
    "target_parameters": "adapted parameters",
    "trainable_token_indices": "trained tokens",
    "use_bdlora": "BD-LoRA",
    "use_qalora": "QALoRA",
}
"""Keys that change what the adapter computes, where they hold anything."""

WITHOUT_EFFECT: Final = frozenset(
    {
        "auto_mapping",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "loftq_config",
        "lora_dropout",
        "lora_ga_config",
        "megatron_core",
        "peft_version",
        "qalora_group_size",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
        "velora_config",
    }
)
"""Keys about training, or about where the adapter goes, which the tensors tell themselves."""

READ: Final = frozenset(
    {
        "alpha_pattern",
        "base_model_name_or_path",
        "bias",
        "lora_alpha",
        "modules_to_save",
        "peft_type",
        "r",
        "rank_pattern",
        "use_dora",
        "use_rslora",
    }
)
"""Keys whose values are checked one by one."""

PLAIN_STARTS: Final = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
"""Ways to start that leave the base model's weights alone."""
