"""Make one adapter of two, ahead of time, for domains that are often asked about together.

    .tame/engine/venv/bin/python adapters/merge.py legal medical                 all ways
    .tame/engine/venv/bin/python adapters/merge.py legal medical --method ties   one of them

Run with the engine's own Python. Each merge becomes a PEFT folder that is loaded like any
other, with a card that tells what it was made of and what it lost: the mean loss of an
answer's token on the held-out pairs of both domains, behind each row's own expert's prompt,
beside that of the base model and of both adapters. Equal adapters, recipe, tools and machine
give equal bytes. On cores that others use too, `OMP_NUM_THREADS=1` is several times as fast.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from adapters.batch import Encoder
from adapters.card import BASE
from adapters.merge_card import MERGE_FILE, render
from adapters.merge_recipe import METHODS, Recipe, RecipeError, plan
from adapters.network import (
    BASE_MODEL,
    MERGED,
    ROOT,
    load,
    mean_loss,
    merge_adapters,
    pick_device,
    put_on,
    save_adapter,
)
from adapters.pair import DOMAINS, PairError, heldout_file, read_pairs, read_prompt


def main(arguments: Sequence[str] | None = None) -> int:
    """Merge, measure, write."""
    options = _parser().parse_args(arguments)
    try:
        recipes = [
            plan(options.domains, method, options.weight, options.density, options.seed)
            for method in options.method or METHODS
        ]
        sources = {name: _source(Path(options.adapters) / name) for name in options.domains}
        device = pick_device(options.device)
        network, tokenizer = load(options.base_model, device)
        rows = {} if options.no_losses else _rows(tokenizer, options.domains)
    except (PairError, RecipeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    name = options.base_model_name or Path(options.base_model).name
    known = {BASE: _losses(network, rows, device)}
    network = put_on(network, sources)
    for source in sources:
        network.set_adapter(source)
        known[source] = _losses(network, rows, device)
    for recipe in recipes:
        begun = time.monotonic()
        merge_adapters(
            network,
            dict.fromkeys(recipe.domains, recipe.weight),
            kind=recipe.kind,
            density=recipe.density,
            seed=recipe.seed,
        )
        seconds = time.monotonic() - begun
        losses = {**known, MERGED: _losses(network, rows, device)}
        folder = Path(options.out) / recipe.name
        save_adapter(network, folder, name, MERGED)
        rank = network.peft_config[MERGED].r
        facts = _facts(recipe, name, rank, seconds, losses)
        (folder / MERGE_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(render(facts), encoding="utf-8")
        print(f"{recipe.name}: rank {rank}, {seconds:.1f} s, written to {folder}", flush=True)
    return 0


def _source(folder: Path) -> Path:
    if not (folder / "adapter_config.json").is_file():
        raise RecipeError(f"{folder} holds no adapter_config.json; train it with `make adapters`")
    return folder


def _rows(tokenizer: Any, domains: Sequence[str]) -> dict[str, Any]:
    rows = {}
    for domain in domains:
        encoder = Encoder(tokenizer, read_prompt(domain))
        pairs = read_pairs(heldout_file(domain))
        rows[domain] = (encoder.prefix(), [encoder.encode(pair) for pair in pairs])
    return rows


def _losses(network: Any, rows: dict[str, Any], device: str) -> dict[str, float]:
    """Give the nats a token by domain of the held-out pairs."""
    found = {
        domain: round(mean_loss(network, prefix, passages, device, mixed=device == "cuda"), 4)
        for domain, (prefix, passages) in rows.items()
    }
    if found:
        print("  ", "  ".join(f"{d} {loss:.3f}" for d, loss in found.items()), flush=True)
    return found


def _facts(
    recipe: Recipe, base_model: str, rank: int, seconds: float, losses: dict[str, dict[str, float]]
) -> dict[str, Any]:
    import peft
    import torch

    return {
        "base_model": base_model,
        "domains": list(recipe.domains),
        "method": recipe.method,
        "combination_type": recipe.kind,
        "weight": recipe.weight,
        "density": recipe.density,
        "seed": recipe.seed,
        "rank": rank,
        "seconds": round(seconds, 1),
        "losses": losses,
        "tools": {"torch": torch.__version__, "peft": peft.__version__},
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Merge two LoRA adapters into one.")
    parser.add_argument("domains", nargs=2, metavar="DOMAIN", help=f"two of {', '.join(DOMAINS)}")
    parser.add_argument(
        "--method", action="append", choices=list(METHODS), help="may be repeated (default: all)"
    )
    parser.add_argument("--weight", type=float, help="how much each counts (default: the method's)")
    parser.add_argument("--density", type=float, help="share that TIES and DARE keep, in (0, 1]")
    parser.add_argument("--seed", type=int, default=20260101, help="of what DARE leaves out")
    parser.add_argument("--no-losses", action="store_true", help="do not measure held-out losses")
    parser.add_argument("--base-model", default=str(BASE_MODEL), help="folder or hub name")
    parser.add_argument("--base-model-name", default="", help="name written into the adapter")
    parser.add_argument("--adapters", default=str(ROOT / "adapters"), help="the adapters' folder")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument(
        "--out", default=str(ROOT / ".tame" / "merged"), help="folder that gets one folder a merge"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
