"""A small school of three experts, trained once."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tame_router.routing.artefact import Artefact
from tame_router.routing.lexical import LexicalClassifier
from tame_router.teaching.corpus import Corpus, read_corpus
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.teaching.training import train
from tests.fakes.encoder import FakeEncoder

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

LINES: Mapping[str, Mapping[str, str]] = {
    "baking": {
        "zh-TW": """
# 麵包
麵團發酵要多久才夠
吐司烤出來中間塌陷怎麼辦
酵母粉放太多會有什麼味道
高筋麵粉和低筋麵粉差在哪裡
烤箱預熱要幾度才能烤麵包
# 蛋糕
戚風蛋糕脫模一直沾黏
奶油打發到什麼程度可以停
蛋糕表面裂開是烤箱溫度太高嗎
蛋白霜打到硬性發泡的樣子
餅乾麵團需要冷藏多久再烤
""",
        "en": """
# Bread
How long should bread dough ferment at room temperature?
my sourdough loaf is dense and gummy inside
Which flour is best for a chewy bread crust?
does too much yeast make bread taste sour
What oven temperature do I need for baguettes?
# Cakes
The sponge cake sinks in the middle after baking
how do I whip cream without splitting it
Can I freeze cookie dough before baking it?
Why does my meringue weep in the oven?
difference between baking powder and baking soda
""",
    },
    "cycling": {
        "zh-TW": """
# 保養
腳踏車鏈條多久要上油一次
後變速器跳檔要怎麼調整
公路車輪胎胎壓打多少適合
煞車皮磨損到什麼程度要換
五通有異音是不是該拆下來保養
# 騎乘
爬坡時齒輪比要怎麼搭配
自行車座墊高度怎麼量
單車長途騎乘膝蓋外側會痛
卡鞋的扣片角度怎麼調
環島一天騎多少公里比較合理
""",
        "en": """
# Upkeep
How often should I oil my bicycle chain?
rear derailleur skips gears when I climb
What tyre pressure suits a 28 mm road tyre?
my disc brakes squeal when they are wet
When do the brake pads of a bike need replacing?
# Riding
What gear ratio helps on steep climbs?
how do I set the saddle height of my bike
Do clipless pedals make cycling faster?
Which chain lube works for gravel rides in the rain?
is a carbon frame worth it for commuting by bicycle
""",
    },
    "general": {
        "zh-TW": """
# 生活
今天天氣怎麼樣
推薦一部好看的電影
幫我翻譯這封信
明天早上提醒我開會
講一個笑話給我聽
# 其他
台北到高雄坐高鐵要多久
怎麼寫自我介紹比較吸引人
幫我算一下三百二十除以八
股票和基金有什麼不同
你好嗎
""",
        "en": """
# Life
What is the weather like today?
recommend a good film for tonight
Translate this letter into French
remind me of the meeting tomorrow morning
Tell me a joke about cats
# Other
how long is the train from Taipei to Kaohsiung
What is the difference between a stock and a fund?
Write a short introduction about myself
what is 320 divided by 8
hello, how are you
""",
    },
}

Write = Callable[[Path], Mapping[str, Path]]


def write_lines(root: Path) -> Mapping[str, Path]:
    """Write the lines as expert folders, and give the folders by name."""
    folders = {}
    for name, files in LINES.items():
        folders[name] = root / name
        folders[name].mkdir(parents=True)
        for language, lines in files.items():
            path = folders[name] / f"utterances.{language}.txt"
            path.write_text(lines.lstrip(), encoding="utf-8")
    return folders


@pytest.fixture
def write() -> Write:
    """Give the function that writes the expert folders."""
    return write_lines


@pytest.fixture
def folders(tmp_path: Path) -> Mapping[str, Path]:
    """Give fresh expert folders."""
    return write_lines(tmp_path / "experts")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Give the lines as they are read."""
    corpus, problems = read_corpus(write_lines(tmp_path_factory.mktemp("experts")))
    assert problems == []
    return corpus


@pytest.fixture(scope="session")
def artefact(corpus: Corpus) -> Artefact:
    """Give the router trained on them."""
    return train(corpus, created=CREATED)


@pytest.fixture(scope="session")
def classifier(artefact: Artefact) -> LexicalClassifier:
    """Give its classifier."""
    return LexicalClassifier(artefact.parameters, artefact.digest)


@pytest.fixture(scope="session")
def dense_artefact(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """Give the router trained on them with the fake encoder."""
    store = EmbeddingStore(FakeEncoder(), tmp_path_factory.mktemp("embeddings"))
    return train(corpus, created=CREATED, embeddings=store)
