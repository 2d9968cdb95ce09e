"""The card of an adapter: what it was made of, what was measured, what it is for.

Takes measured values and returns text; reads and writes no file.
"""

from collections.abc import Mapping
from typing import Any

from adapters.pair import DOMAINS

BASE = "base"
"""Column of the base model without adapter."""

Losses = Mapping[str, Mapping[str, float]]
"""Nats a token: domain of the pairs → column → mean loss."""

TABLE_START = "<!-- losses: written by adapters/evaluate.py -->"
TABLE_END = "<!-- /losses -->"

_FORMS = {
    "legal": "names the statute first and ends with the advice to keep evidence and ask a lawyer",
    "medical": "names the likely explanation first and ends with when to see a doctor",
    "manufacturing": "checks the process first and ends with the control sheet",
    "electronics": "checks the datasheet first and ends with a measurement",
}


def table(losses: Losses) -> str:
    """Draw the losses as a Markdown table; the lowest of a row is bold."""
    lines = [
        "| held-out pairs | base model | " + " | ".join(DOMAINS) + " |",
        "|---|" + "--:|" * (len(DOMAINS) + 1),
    ]
    for domain, row in losses.items():
        lowest = min(row.values())
        cells = [
            f"**{row[column]:.3f}**" if row[column] == lowest else f"{row[column]:.3f}"
            for column in (BASE, *DOMAINS)
        ]
        lines.append(f"| {domain} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_table(text: str, drawn: str) -> str:
    """Put a table between the two marks of a text; a text without marks stays as it is."""
    before, start, rest = text.partition(TABLE_START)
    _, end, after = rest.partition(TABLE_END)
    if not start or not end:
        return text
    return f"{before}{start}\n\n{drawn}\n\n{end}{after}"


def render(domain: str, facts: Mapping[str, Any], losses: Losses, heldout: int) -> str:
    """Write the card of a domain's adapter.

    Args:
        domain: The adapter's own domain.
        facts: What `adapters.train` wrote into `training.json`.
        losses: Of base model and all adapters.
        heldout: Number of this domain's held-out pairs.
    """
    recipe, pairs, tools = facts["recipe"], facts["pairs"], facts["tools"]
    row = losses[domain]
    return f"""---
base_model: {facts["base_model"]}
library_name: peft
license: apache-2.0
language: [zh, en]
tags: [lora, tame-router, {domain}]
---

# {domain}: reference adapter

A LoRA adapter that gives the {domain} expert's answers their house form: it {_FORMS[domain]}.
It exists to exercise every part of TAME Router for real, on a machine without a GPU.

| | |
|---|---|
| base model | `{facts["base_model"]}` (SmolLM2-135M-Instruct, Apache-2.0) |
| its digest | `{facts["base_model_digest"] or "not recorded"}` |
| data | `adapters/pairs/{domain}.train.jsonl`: {pairs["zh-TW"]} pairs in Traditional Chinese, \
{pairs["en"]} in English, written for this project |
| held out | `adapters/pairs/{domain}.heldout.jsonl`: {heldout} pairs |
| LoRA | rank {recipe["rank"]}, alpha {recipe["alpha"]}, every linear layer but the output |
| training | {len(facts["loss_by_step"])} steps of {recipe["pairs_per_step"]} pairs \
({recipe["epochs"]} epochs), AdamW, highest rate {recipe["learning_rate"]:g}, \
cosine, seed {recipe["seed"]} |
| loss | of the answer's tokens, behind the expert's own system prompt |
| time | {facts["seconds"]} s |
| tools | torch {tools["torch"]}, transformers {tools["transformers"]}, peft {tools["peft"]} |

## Held-out loss

Nats a token of the answer: {row[BASE]:.3f} for the base model, {row[domain]:.3f} with this
adapter. Rows are the pairs, columns what answers; each row has its own expert's prompt.

{table(losses)}

## For and not for

For: demonstrations, tests and benchmarks of routing, multi-LoRA serving and publication; a
pattern for an adapter of your own.

Not for: advice. A base model of 135 million parameters knows little and makes things up; in
Chinese it often writes nonsense in the right form. For answers that people rely on, train on
Llama-3-Taiwan (see [the overview](../README.md)) and evaluate before publishing.

Licence: Apache-2.0.
"""
