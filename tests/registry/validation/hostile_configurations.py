"""Uploads whose `adapter_config.json` is wrong."""

import json
from collections.abc import Callable
from dataclasses import replace

from tame_router.registry.reason import Reason
from tests.registry.validation.upload import (
    CONFIG,
    RULES,
    Upload,
    small_upload,
    with_file,
)


def without(path: str) -> Upload:
    """Leave a file out of the small upload."""
    upload = small_upload()
    del upload.files[path]
    return upload


def configured(**changed: object) -> Upload:
    """Change the small adapter's configuration."""
    return small_upload(config=changed)


def raw_config(text: bytes) -> Upload:
    """Send other bytes as its configuration."""
    return small_upload(more={CONFIG: text})


CASES: dict[str, tuple[Callable[[], Upload], Reason]] = {
    "a configuration that is no JSON": (lambda: raw_config(b"{"), Reason.CONFIG_NOT_JSON),
    "a configuration with a key twice": (
        lambda: raw_config(b'{"peft_type": "LORA", "r": 4, "r": 64}'),
        Reason.CONFIG_NOT_JSON,
    ),
    "a configuration with NaN": (
        lambda: raw_config(b'{"lora_alpha": NaN}'),
        Reason.CONFIG_NOT_JSON,
    ),
    "half a character in a configuration": (
        lambda: raw_config(b'{"r": "\\ud800"}'),
        Reason.CONFIG_NOT_JSON,
    ),
    "a training.json that is no JSON": (
        lambda: with_file("training.json", b"{"),
        Reason.CONFIG_MALFORMED,
    ),
    "a deep configuration": (lambda: raw_config(b"[" * 100_000), Reason.CONFIG_NOT_JSON),
    "a configuration that is a list": (lambda: raw_config(b"[]"), Reason.CONFIG_MALFORMED),
    "a pattern that is no object": (lambda: configured(rank_pattern=[1]), Reason.CONFIG_MALFORMED),
    "another kind of adapter": (lambda: configured(peft_type="IA3"), Reason.PEFT_TYPE),
    "no kind of adapter": (lambda: configured(peft_type=None), Reason.PEFT_TYPE),
    "rank zero": (lambda: configured(r=0), Reason.RANK_INVALID),
    "a rank of text": (lambda: configured(r="4"), Reason.RANK_INVALID),
    "truth as a rank": (lambda: configured(r=True), Reason.RANK_INVALID),
    "a rank pattern below one": (
        lambda: configured(rank_pattern={"q_proj": -1}),
        Reason.RANK_INVALID,
    ),
    "a pattern without end": (
        lambda: configured(rank_pattern={"(a+)+$": 2}),
        Reason.RANK_INVALID,
    ),
    "a rank beyond the engines'": (lambda: configured(r=32), Reason.RANK_TOO_LARGE),
    "a pattern's rank beyond": (
        lambda: configured(rank_pattern={"nothing": 17}),
        Reason.RANK_TOO_LARGE,
    ),
    "no alpha": (lambda: configured(lora_alpha=None), Reason.ALPHA_INVALID),
    "an alpha of nothing": (lambda: configured(lora_alpha=0), Reason.ALPHA_INVALID),
    "an alpha of a million": (lambda: configured(lora_alpha=1e6), Reason.ALPHA_INVALID),
    "an alpha pattern of text": (
        lambda: configured(alpha_pattern={"q_proj": "8"}),
        Reason.ALPHA_INVALID,
    ),
    "no targets": (lambda: configured(target_modules=None), Reason.TARGET_MODULES),
    "targets of numbers": (lambda: configured(target_modules=[1]), Reason.TARGET_MODULES),
    "whole modules": (lambda: configured(modules_to_save=["lm_head"]), Reason.MODULES_TO_SAVE),
    "biases": (lambda: configured(bias="lora_only"), Reason.BIAS_UNSUPPORTED),
    "DoRA": (lambda: configured(use_dora=True), Reason.VARIANT_UNSUPPORTED),
    "aLoRA": (lambda: configured(alora_invocation_tokens=[1]), Reason.VARIANT_UNSUPPORTED),
    "PiSSA": (lambda: configured(init_lora_weights="pissa"), Reason.VARIANT_UNSUPPORTED),
    "trained tokens": (
        lambda: configured(trainable_token_indices=[1]),
        Reason.VARIANT_UNSUPPORTED,
    ),
    "a classifier": (lambda: configured(task_type="SEQ_CLS"), Reason.VARIANT_UNSUPPORTED),
    "a word for truth": (lambda: configured(use_rslora="yes"), Reason.CONFIG_MALFORMED),
    "another base model": (
        lambda: configured(base_model_name_or_path="meta/Llama-3-8B"),
        Reason.BASE_MODEL_OTHER,
    ),
    "no base model": (
        lambda: configured(base_model_name_or_path=None),
        Reason.BASE_MODEL_OTHER,
    ),
    "another digest": (
        lambda: replace(small_upload(), base_model_digest="0" * 64),
        Reason.BASE_MODEL_DIGEST,
    ),
    "another digest in training.json": (
        lambda: with_file("training.json", json.dumps({"base_model_digest": "1" * 64}).encode()),
        Reason.BASE_MODEL_DIGEST,
    ),
    "no digest where one must be": (
        lambda: replace(small_upload(), rules=replace(RULES, require_base_model_digest=True)),
        Reason.BASE_MODEL_DIGEST,
    ),
    "a training.json without it": (
        lambda: replace(
            with_file("training.json", b"{}"), rules=replace(RULES, require_base_model_digest=True)
        ),
        Reason.BASE_MODEL_DIGEST,
    ),
    "a training.json of text": (
        lambda: with_file("training.json", b'"x"'),
        Reason.CONFIG_MALFORMED,
    ),
    "a digest that is none": (
        lambda: with_file("training.json", b'{"base_model_digest": "abc"}'),
        Reason.CONFIG_MALFORMED,
    ),
}
"""By what is wrong: how it is made, and why it is refused."""
