"""The card of a merged adapter: what it was made of, and what it lost.

Takes measured values and returns text; reads and writes no file.
"""

from collections.abc import Mapping
from typing import Any

MERGE_FILE = "merge.json"
"""Beside the weights: what the merge was made of, for programs."""


def render(facts: Mapping[str, Any]) -> str:
    """Write the card of a merge.

    Args:
        facts: What `adapters.merge` wrote into `merge.json`.
    """
    first, second = facts["domains"]
    tools = facts["tools"]
    density = f", density {facts['density']:g}" if facts["density"] is not None else ""
    return f"""---
base_model: {facts["base_model"]}
library_name: peft
license: apache-2.0
language: [zh, en]
tags: [lora, tame-router, merged, {first}, {second}]
---

# {first} and {second}, merged

One LoRA adapter made of two, without training, for questions that belong to both domains.

| | |
|---|---|
| base model | `{facts["base_model"]}` |
| made of | `adapters/{first}` and `adapters/{second}` |
| how | PEFT `add_weighted_adapter`, `{facts["combination_type"]}`, \
weight {facts["weight"]:g} each{density}, seed {facts["seed"]} |
| rank | {facts["rank"]} |
| time | {facts["seconds"]:g} s |
| tools | torch {tools["torch"]}, peft {tools["peft"]} |
{_losses(facts)}
## For and not for

For: comparing one merged adapter with asking both experts; see
`docs/adr/0020-merged-adapters.md` for what came of it.

Not for: advice. The base model has 135 million parameters; it makes things up.

Licence: Apache-2.0.
"""


def table(losses: Mapping[str, Mapping[str, float]]) -> str:
    """Draw losses as a Markdown table, a row for each domain of the held-out pairs.

    Args:
        losses: Nats a token, by what answers and then by domain; not empty.
    """
    columns = list(losses)
    lines = [f"| held-out pairs | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    lines += [
        f"| {domain} | " + " | ".join(f"{losses[column][domain]:.3f}" for column in columns) + " |"
        for domain in losses[columns[0]]
    ]
    return "\n".join(lines)


def _losses(facts: Mapping[str, Any]) -> str:
    losses = facts["losses"]
    if not any(losses.values()):  # not measured
        return ""
    return f"""
## Held-out loss

Nats a token of the answer, lower is better; each row behind its own expert's prompt.

{table(losses)}
"""
