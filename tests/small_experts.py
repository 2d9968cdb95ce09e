"""Four small experts with adapters' folders, written where a test wants them."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.fakes.vllm import BASE_MODEL

TITLES: Mapping[str, tuple[str, str]] = {
    "electronics": ("電子", "Electronics"),
    "general": ("一般", "General"),
    "legal": ("法律", "Legal"),
    "medical": ("醫療", "Medical"),
}
NOTICES: Mapping[str, Mapping[str, str]] = {
    "legal": {"zh-TW": "本回答不是法律意見。", "en": "This is not legal advice."},
    "medical": {"zh-TW": "本回答不能取代醫師診斷。", "en": "See a doctor."},
}
SAMPLING: Mapping[str, Mapping[str, object]] = {
    "legal": {"max_tokens": 64, "temperature": 0.25, "stop": ["USER:", "<|eot_id|>"]},
    "medical": {"max_tokens": 64, "temperature": 0.5, "top_p": 0.75, "seed": 7},
    "electronics": {"max_tokens": 32},
}
LINES: Mapping[str, Mapping[str, str]] = {
    "legal": {
        "zh-TW": """
勞工被資遣可以拿多少資遣費
房東不退押金可以告他嗎
租約到期前想解約要賠違約金嗎
被告侵權要怎麼答辯
離婚官司監護權怎麼判
遺產繼承要不要辦拋棄繼承
車禍和解書簽了還能提告嗎
勞基法加班費怎麼計算
收到法院傳票不去會怎樣
契約沒有簽名有法律效力嗎
公司違法解僱可以申請勞資爭議調解嗎
智慧財產權侵權的罰則是什麼
""",
        "en": """
Can my landlord keep the deposit when the lease ends?
How much severance pay does a dismissed employee get?
what happens if I ignore a court summons
Is a contract without a signature legally binding?
who gets custody of the children after a divorce
The lawyer wants to appeal the court's judgment
How do I sue someone for breach of contract?
what is the penalty for copyright infringement
Is overtime pay required by the labour law?
can an inheritance be refused by the heirs
The tenant signed a lease and stopped paying rent
does the statute of limitations apply to this lawsuit
""",
    },
    "medical": {
        "zh-TW": """
發燒三十九度要不要去掛急診
感冒吃抗生素有效嗎
高血壓的藥可以停嗎
糖尿病患者可以吃水果嗎
懷孕初期出血要看醫生嗎
頭痛合併嘔吐是什麼症狀
小孩長水痘多久會好
手術後傷口紅腫化膿怎麼辦
胃食道逆流要吃什麼藥
疫苗打完手臂痠痛正常嗎
膽固醇過高要怎麼治療
過敏性鼻炎可以根治嗎
""",
        "en": """
Is a fever of 38.5 dangerous for a toddler?
Should I take antibiotics for a cold?
what are the symptoms of diabetes
The doctor prescribed medicine for high blood pressure
how long does chickenpox last in children
My wound is red and swollen after surgery
Which painkiller is safe during pregnancy?
is a sore arm normal after a vaccine
What treatment helps against acid reflux?
chest pain and short breath, which symptoms mean a heart attack
can an allergy to pollen be cured
My cholesterol is high, do I need a prescription?
""",
    },
    "electronics": {
        "zh-TW": """
MOSFET 的閘極驅動怎麼選
電路板的阻抗控制要注意什麼
電容的 ESR 會影響電源漣波嗎
運算放大器的輸入偏壓電流怎麼看
PCB 疊構四層板怎麼安排地平面
步進馬達驅動電路會過熱
微控制器的 ADC 取樣雜訊很大
二極體反向漏電流太高
降壓轉換器的電感值怎麼計算
I2C 匯流排上拉電阻要用多少歐姆
晶振不起振要怎麼除錯
USB 差動訊號的走線要等長嗎
""",
        "en": """
How do I choose a gate driver for a MOSFET?
What pull-up resistor does an I2C bus need?
the buck converter's inductor gets hot
Why is the ADC of my microcontroller noisy?
how many layers should the PCB stack-up have
Does the ESR of a capacitor matter for ripple voltage?
The crystal oscillator does not start on my board
what does input bias current of an op-amp mean
How is trace impedance controlled on a circuit board?
the stepper motor driver overheats at low voltage
Which diode has a low forward voltage?
do USB differential pair traces need equal length
""",
    },
    "general": {
        "zh-TW": """
今天天氣怎麼樣
推薦一部好看的電影
幫我翻譯這封信
講一個笑話給我聽
台北到高雄坐高鐵要多久
怎麼寫自我介紹比較吸引人
幫我算一下三百二十除以八
你好
晚餐吃什麼好
介紹一下你自己
幫我想一個貓的名字
週末去哪裡玩比較好
""",
        "en": """
What is the weather like today?
recommend a good film for tonight
Translate this letter into French
Tell me a joke about cats
how long is the train from Taipei to Kaohsiung
Write a short introduction about myself
what is 320 divided by 8
hello, how are you
What shall I cook for dinner?
who are you
suggest a name for my cat
Where should we travel at the weekend?
""",
    },
}

QUESTIONS: Mapping[str, tuple[str, str]] = {
    "legal": (
        "被資遣的勞工可以拿多少資遣費？",
        "Can my landlord keep the deposit after a lease?",
    ),
    "medical": ("發燒三十九度要看醫生嗎？", "Which symptoms of a fever mean I need a doctor?"),
    "electronics": ("MOSFET 的 gate driver 要怎麼選?", "Which resistor does the I2C bus need?"),
    "general": ("講一個貓的笑話給我聽", "Tell me a joke about the weather today"),
}
"""A question for each expert in both languages, Chinese first."""


def prompt(name: str) -> str:
    """Give an expert's system prompt."""
    return f"You are the {name} expert of TAME."


def write_experts(root: Path) -> Path:
    """Write `experts/` and `adapters/` below a folder, and give the former."""
    for name, (chinese, english) in TITLES.items():
        folder = root / "experts" / name
        folder.mkdir(parents=True)
        document: dict[str, object] = {
            "name": name,
            "titles": {"zh-TW": chinese, "en": english},
            "descriptions": {"zh-TW": f"{chinese}問題。", "en": f"Questions of {english}."},
            "backend": "local",
            "sampling": dict(SAMPLING.get(name, {})),
            "notices": dict(NOTICES.get(name, {})),
        }
        if name != "general":
            write_adapter(root / "adapters" / name, name)
            document["adapters"] = {BASE_MODEL: f"../../adapters/{name}"}
        text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        (folder / "expert.yaml").write_text(text, encoding="utf-8")
        (folder / "prompt.md").write_text(f"{prompt(name)}\n", encoding="utf-8")
        for language, lines in LINES[name].items():
            path = folder / f"utterances.{language}.txt"
            path.write_text(f"# {name}\n{lines.lstrip()}", encoding="utf-8")
        case = {
            "kind": "text",
            "id": f"{name}-1",
            "lang": "en",
            "question": QUESTIONS[name][1],
            "reference": "It depends.",
        }
        (folder / "evaluation.jsonl").write_text(json.dumps(case) + "\n", encoding="utf-8")
    return root / "experts"


def write_adapter(folder: Path, weights: str) -> None:
    """Write what looks like a PEFT folder; the bytes are its identity."""
    folder.mkdir(parents=True)
    config = json.dumps({"base_model_name_or_path": BASE_MODEL, "r": 8})
    (folder / "adapter_config.json").write_text(config, encoding="utf-8")
    (folder / "adapter_model.safetensors").write_bytes(weights.encode())
