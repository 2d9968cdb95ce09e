"""Train one LoRA adapter a domain on the pairs that lie in `adapters/pairs/`.

    .tame/engine/venv/bin/python adapters/train.py             all four domains
    .tame/engine/venv/bin/python adapters/train.py legal       one of them

Run with the engine's own Python. The loss is that of the
answer's tokens, behind the system prompt that the expert has in service. Equal data, seed
and machine give equal bytes. `adapters.evaluate` measures the result and writes the cards.
"""

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from adapters.batch import Encoder, Passage, pack
from adapters.network import (
    BASE_MODEL,
    ROOT,
    add_adapter,
    answer_loss,
    load,
    pick_device,
    save_adapter,
)
from adapters.pair import DOMAINS, Pair, PairError, read_pairs, read_prompt, training_file

WARM_UP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an adapter is trained.

    Attributes:
        rank: LoRA rank.
        alpha: LoRA scale; weights count `alpha / rank`.
        epochs: Times that every pair is seen.
        pairs_per_step: Pairs in one optimizer step.
        learning_rate: Highest rate; rises over the first tenth, then falls along a cosine to 0.
        seed: Of the weights' start and of the order of pairs.
    """

    rank: int = 4
    alpha: int = 8
    epochs: int = 4
    pairs_per_step: int = 6
    learning_rate: float = 2e-3
    seed: int = 20260101


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the adapters that the command line names."""
    options = _parser().parse_args(arguments)
    recipe = Recipe(**{name: getattr(options, name) for name in asdict(Recipe())})
    try:
        data = {d: (read_pairs(training_file(d)), read_prompt(d)) for d in options.domains}
    except PairError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    device = pick_device(options.device)
    name = options.base_model_name or Path(options.base_model).name
    for domain, (pairs, prompt) in data.items():
        print(f"{domain}: {len(pairs)} pairs, base model {name} on {device}", flush=True)
        network, tokenizer = load(options.base_model, device)
        network = add_adapter(network, rank=recipe.rank, alpha=recipe.alpha, seed=recipe.seed)
        started = time.monotonic()
        try:
            curve = _train(network, Encoder(tokenizer, prompt), pairs, recipe, device)
        except PairError as error:
            print(f"error: {training_file(domain)}: {error}", file=sys.stderr)
            return 1
        seconds = time.monotonic() - started
        folder = Path(options.out) / domain
        save_adapter(network, folder, name)
        facts = _facts(name, options.base_model, pairs, recipe, curve, seconds)
        (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        print(f"{domain}: {seconds:.0f} s, written to {folder}", flush=True)
    return 0


def order(count: int, recipe: Recipe) -> Iterator[list[int]]:
    """Give the indices of the pairs of each step; every epoch holds all, newly shuffled.

    Args:
        count: Number of pairs.
        recipe: Gives epochs, pairs a step and seed.
    """
    shuffler = random.Random(recipe.seed)  # noqa: S311  an order of pairs is no secret
    for _ in range(recipe.epochs):
        indices = list(range(count))
        shuffler.shuffle(indices)
        for start in range(0, count, recipe.pairs_per_step):
            yield indices[start : start + recipe.pairs_per_step]


def rate(step: int, steps: int, highest: float) -> float:
    """Give the learning rate of a step, counted from 0."""
    warm = max(1, round(steps * WARM_UP))
    if step < warm:
        return highest * (step + 1) / warm
    return highest * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _train(
    network: Any, encoder: Encoder, pairs: Sequence[Pair], recipe: Recipe, device: str
) -> list[float]:
    """Run all steps and give the loss of each, in nats a token."""
    import torch

    prefix = encoder.prefix()
    passages: list[Passage] = [encoder.encode(pair) for pair in pairs]
    weights = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0)
    steps = list(order(len(passages), recipe))
    curve: list[float] = []
    network.train()
    started = time.monotonic()
    for number, indices in enumerate(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(number, len(steps), recipe.learning_rate)
        batch = pack(prefix, [passages[i] for i in indices])
        loss = answer_loss(network, batch, device) / len(batch.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        curve.append(round(float(loss), 4))
        left = (time.monotonic() - started) / (number + 1) * (len(steps) - number - 1)
        print(
            f"  step {number + 1}/{len(steps)}  loss {curve[-1]:.3f}  {left:.0f} s left", flush=True
        )
    return curve


def _facts(
    name: str,
    base_model: str,
    pairs: Sequence[Pair],
    recipe: Recipe,
    curve: Sequence[float],
    seconds: float,
) -> dict[str, Any]:
    import peft
    import torch
    import transformers

    return {
        "base_model": name,
        "base_model_digest": base_model_digest(Path(base_model)),
        "pairs": {
            language: sum(p.language == language for p in pairs) for language in ("zh-TW", "en")
        },
        "recipe": asdict(recipe),
        "seconds": round(seconds),
        "loss_by_step": list(curve),
        "tools": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": peft.__version__,
        },
    }


def base_model_digest(folder: Path) -> str:
    """Read the digest that the set-up wrote into a base model's folder; empty where none is."""
    try:
        document = json.loads((folder / "base_model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(document.get("digest", ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train LoRA adapters, one a domain.")
    parser.add_argument("domains", nargs="*", default=list(DOMAINS), metavar="DOMAIN")
    parser.add_argument("--base-model", default=str(BASE_MODEL), help="folder or hub name")
    parser.add_argument("--base-model-name", default="", help="name written into the adapter")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument(
        "--out", default=str(ROOT / "adapters"), help="folder that gets one folder a domain"
    )
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    return parser


if __name__ == "__main__":
    sys.exit(main())
