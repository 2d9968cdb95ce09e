"""A fifth domain as a partner sends it: an adapter, what describes its expert, what teaches it."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.registry_fixture import write_adapter

EXPERT = "packaging"
PROMPT = "You are the packaging expert of TAME."
QUESTIONS = ("瓦楞紙箱的抗壓強度怎麼測？", "Which flute of corrugated cardboard box stacks best?")
"""What nobody but the packaging expert is asked, Chinese first."""

LINES: Mapping[str, str] = {
    "zh-TW": """
瓦楞紙箱的抗壓強度要怎麼測試
紙箱堆疊幾層會被壓垮
緩衝包材要選氣泡袋還是紙緩衝
外箱的嘜頭要印哪些標示
瓦楞紙的 A 楞跟 B 楞差在哪裡
收縮膜包裝破掉怎麼改善
棧板上的紙箱怎麼堆才不會倒
包裝袋的封口強度不夠
紙箱受潮變軟怎麼辦
緩衝材回收要怎麼標示
彩盒印刷掉色怎麼處理
紙箱落下測試要從多高摔
""",
    "en": """
How is the compression strength of a corrugated box tested?
Which flute of corrugated cardboard is best for heavy boxes?
how many cartons can be stacked on a pallet
The shrink wrap tears on the packaging line
What marks must be printed on an outer carton?
is bubble wrap or paper cushioning better for a box
The heat seal of our pouch is too weak
Why does the cardboard carton go soft in humid storage?
From which height is a carton drop test done?
how thick must the foam cushioning of a carton be
Which tape closes a corrugated carton?
pallet stretch film keeps coming loose
""",
}

GARDEN: Mapping[str, str] = {
    "zh-TW": """
玫瑰花要多久澆水一次
盆栽葉子發黃是澆水太多嗎
番茄幼苗什麼時候移盆
盆栽土壤要加多少肥料
玫瑰花剪枝要剪到哪裡
多肉植物葉子掉落怎麼辦
""",
    "en": """
How often should a rose be watered?
why do the leaves of my potted plant turn yellow
When are tomato seedlings moved into a bigger pot?
how much fertiliser does potting soil need
Where do I prune a rose?
my succulent loses its leaves
""",
}
"""Lines of a sixth domain."""
ROSES = "玫瑰花盆栽要怎麼澆水和剪枝？"


def write_domain(
    folder: Path,
    seed: int = 90,
    *,
    lines: Mapping[str, str] = LINES,
    expert: str = EXPERT,
    **document: object,
) -> Path:
    """Write all that makes a new expert.

    Args:
        folder: Where; made anew.
        seed: Of the adapter's numbers.
        lines: Teaching lines by language.
        expert: Its name.
        document: What `expert.yaml` says besides.
    """
    write_adapter(folder, seed)
    described = {
        "name": expert,
        "titles": {"zh-TW": "包裝", "en": "Packaging"},
        "descriptions": {"zh-TW": "紙箱與緩衝包材。", "en": "Boxes and cushioning."},
        "backend": "local",
        **document,
    }
    text = yaml.safe_dump(described, allow_unicode=True, sort_keys=False)
    (folder / "expert.yaml").write_text(text, encoding="utf-8")
    (folder / "prompt.md").write_text(f"{PROMPT}\n", encoding="utf-8")
    for language, taught in lines.items():
        (folder / f"utterances.{language}.txt").write_text(taught.lstrip(), encoding="utf-8")
    asked = [line for taught in lines.values() for line in taught.strip().splitlines()]
    cases = [
        {
            "kind": "choice",
            "id": f"{expert}-{number}",
            "lang": "en" if line.isascii() else "zh-TW",
            "question": line,
            "choices": ["可以。", "不可以。", "要看情形。"],
            "answer": number % 3,
        }
        for number, line in enumerate(asked)
    ]
    told = "\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (folder / "evaluation.jsonl").write_text(f"{told}\n", encoding="utf-8")
    return folder
