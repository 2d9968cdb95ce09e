"""Measure every adapter on every domain's held-out pairs, and write what was measured.

    .tame/engine/venv/bin/python adapters/evaluate.py

A figure is the mean loss of an answer's token, in nats, behind the system prompt of the
row's own expert, for the base model and for each adapter. Exit code 1 when an adapter does
not beat the base model and all other adapters on its own domain. Writes `losses.json`, the
card of each adapter (`README.md`) and the table in `adapters/README.md`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from adapters.batch import Encoder, Passage
from adapters.card import BASE, Losses, render, table, with_table
from adapters.network import BASE_MODEL, ROOT, load, mean_loss, pick_device
from adapters.pair import (
    DOMAINS,
    HELDOUT_DOMAINS,
    PairError,
    heldout_file,
    read_pairs,
    read_prompt,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, and tell whether every adapter wins at home."""
    options = _parser().parse_args(arguments)
    folder = Path(options.adapters)
    try:
        data = {d: (read_pairs(heldout_file(d)), read_prompt(d)) for d in HELDOUT_DOMAINS}
        facts = {d: _read_facts(folder / d) for d in DOMAINS}
        device = pick_device(options.device)
        network, tokenizer = load(options.base_model, device)
        rows = {}
        for domain, (pairs, prompt) in data.items():
            encoder = Encoder(tokenizer, prompt)
            rows[domain] = (encoder.prefix(), [encoder.encode(pair) for pair in pairs])
    except PairError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    losses = _measure(network, folder, rows, device)
    (folder / "losses.json").write_text(json.dumps(losses, indent=2) + "\n", encoding="utf-8")
    for domain in DOMAINS:
        heldout = len(data[domain][0])
        card = render(domain, facts[domain], losses, heldout)
        (folder / domain / "README.md").write_text(card, encoding="utf-8")
    overview = folder / "README.md"
    if overview.exists():
        text = overview.read_text(encoding="utf-8")
        overview.write_text(with_table(text, table(losses)), encoding="utf-8")
    print(table(losses))
    faults = beaten(losses)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


def beaten(losses: Losses) -> list[str]:
    """Name every adapter that does not have the lowest loss on its own domain.

    Args:
        losses: Nats a token, by domain of the pairs and then by column.
    """
    faults = []
    for domain in DOMAINS:
        row = losses[domain]
        faults += [
            f"on {domain} pairs the {domain} adapter ({row[domain]:.3f}) does not beat "
            f"{column} ({loss:.3f}): train it longer, or look at its pairs"
            for column, loss in row.items()
            if column != domain and loss <= row[domain]
        ]
    return faults


def _measure(
    network: Any,
    folder: Path,
    rows: Mapping[str, tuple[tuple[int, ...], list[Passage]]],
    device: str,
) -> dict[str, dict[str, float]]:
    from peft import PeftModel

    losses: dict[str, dict[str, float]] = {domain: {} for domain in rows}
    for column in (BASE, *DOMAINS):
        # The base model is loaded once; adapters are put on and taken off.
        worn = network if column == BASE else PeftModel.from_pretrained(network, folder / column)
        for domain, (prefix, passages) in rows.items():
            losses[domain][column] = round(mean_loss(worn, prefix, passages, device), 4)
            print(f"{column} on {domain}: {losses[domain][column]:.3f}", flush=True)
        if column != BASE:
            network = worn.unload()
    return losses


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / "training.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PairError(f"{path}: cannot be read ({error}); train the adapter first") from error
    return dict(facts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure adapters on held-out pairs.")
    parser.add_argument("--base-model", default=str(BASE_MODEL), help="folder or hub name")
    parser.add_argument(
        "--adapters", default=str(ROOT / "adapters"), help="folder of adapter folders"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
