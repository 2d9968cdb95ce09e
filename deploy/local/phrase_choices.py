"""Where the guard's table differs from OpenCC: reviewed by hand, for answers in Taiwan."""

from collections.abc import Mapping
from typing import Final

UNCHANGED: Final = frozenset(
    "出了同家合娘溪欲戚胄奸夫冬席庵巨挨愈污泄坐修穗扇幺蔑玩札糊噪芸仇狸浚吃具象抵拿焰皂豆呆檗"
    "私冢捆俊澄斤藤琅筱吣耇堤斫矩果凌哄弦痴麻念挽酸雕症搜苔岩霉占布局扣疱"
)
"""Characters that OpenCC makes orthodox in some phrases, where Taiwan writes both or this one."""

VARIANTS: Final = frozenset("着踊檐")
"""Characters that both scripts have, and that Taiwan always writes another way."""

ONLY: Final = frozenset("与优体儿党厂圣坏宁怀怜惊扑扰机极构柜气确离种筑网触赶适吨听异忏价复愿")
"""Characters for which Big5 has a place and modern Taiwanese text no use."""

TELLING: Final = ("什么", "怎么", "那么", "多么", "要么", "推荐")
"""Phrases that are Simplified though none of their characters is."""

DROPPED: Final = frozenset({"有面", "又干", "在台"})
"""Phrases that cut common sentences at the wrong place: 有｜面粉, 又｜干燥, 在｜台面."""

_DRY: Final = {"头发": "頭髮", "皮肤": "皮膚", "衣服": "衣服", "眼睛": "眼睛", "变": "變"}
"""What gets dry rather than done: 干 alone is 幹."""

OWN: Final[Mapping[str, str]] = {
    "伙": "伙",
    "凄": "淒",
    "了解": "了解",
    "么": "麼",
    "干扰": "干擾",
    "受干扰": "受干擾",
    "发热": "發熱",
    "电表": "電表",
    "分布": "分布",
    "占比": "占比",
    "并网": "並網",
    "外泄": "外洩",
    "泄漏": "洩漏",
    "泄露": "洩露",
    "泄密": "洩密",
    "复激": "複激",
    "哪里": "哪裡",
    "皮肤": "皮膚",
    "雇主": "雇主",
    "签": "簽",
    "制程": "製程",
    "酸痛": "痠痛",
    "回路": "迴路",
    "愈合": "癒合",
    "治愈": "治癒",
    "痊愈": "痊癒",
    "自愈": "自癒",
    "霉素": "黴素",
    "霉菌": "黴菌",
    "香烟": "香菸",
    "电子烟": "電子菸",
    "吸烟": "吸菸",
    "抽烟": "抽菸",
    "戒烟": "戒菸",
    "烟草": "菸草",
    "上游戏": "上遊戲",
    "系指": "係指",
    "系因": "係因",
    "系以": "係以",
    "雇员": "雇員",
    "台面上": "檯面上",
    "龙头": "龍頭",
    **{f"{what}干": f"{spelt}乾" for what, spelt in _DRY.items()},
    **{f"{many}天后": f"{many}天後" for many in "一二两三四五六七八九十百数几多半"},
    "麻痹": "麻痺",
    "晾干": "晾乾",
    "吹干": "吹乾",
    "擦干": "擦乾",
    "煮面": "煮麵",
    "凉面": "涼麵",
    "炒面": "炒麵",
    "面店": "麵店",
    "里程碑": "里程碑",
    "邻里": "鄰里",
    "里长": "里長",
    "里民": "里民",
    "台风": "颱風",
    "柜台": "櫃台",
    "台灯": "檯燈",
    "系上": "繫上",
    "系好": "繫好",
    "系紧": "繫緊",
    "心系": "心繫",
}
"""Phrases and defaults that OpenCC lacks or spells another way."""

WORDS: Final[Mapping[str, str]] = {
    "软件": "軟體",
    "硬件": "硬體",
    "固件": "韌體",
    "内存": "記憶體",
    "闪存": "快閃記憶體",
    "硬盘": "硬碟",
    "磁盘": "磁碟",
    "光盘": "光碟",
    "鼠标": "滑鼠",
    "光标": "游標",
    "图标": "圖示",
    "屏幕": "螢幕",
    "打印": "列印",
    "打印机": "印表機",
    "网络": "網路",
    "互联网": "網際網路",
    "局域网": "區域網路",
    "网关": "閘道器",
    "网吧": "網咖",
    "服务器": "伺服器",
    "数据库": "資料庫",
    "操作系统": "作業系統",
    "编程": "程式設計",
    "程序员": "程式設計師",
    "默认": "預設",
    "宽带": "寬頻",
    "带宽": "頻寬",
    "二极管": "二極體",
    "三极管": "三極體",
    "晶体管": "電晶體",
    "场效应管": "場效電晶體",
    "集成电路": "積體電路",
    "芯片": "晶片",
    "传感器": "感測器",
    "单片机": "微控制器",
    "总线": "匯流排",
    "信噪比": "訊雜比",
    "纳米": "奈米",
    "激光": "雷射",
    "短信": "簡訊",
    "信息": "資訊",
    "博客": "部落格",
    "人工智能": "人工智慧",
    "知识产权": "智慧財產權",
    "首席执行官": "執行長",
    "艾滋病": "愛滋病",
    "心肌梗死": "心肌梗塞",
    "脑梗死": "腦梗塞",
    "白细胞": "白血球",
    "红细胞": "紅血球",
    "血红蛋白": "血紅素",
    "前列腺": "攝護腺",
    "抑郁症": "憂鬱症",
    "孤独症": "自閉症",
    "氨基酸": "胺基酸",
    "阿司匹林": "阿斯匹靈",
    "圆珠笔": "原子筆",
    "酸奶": "優酪乳",
    "方便面": "泡麵",
}
"""Words that Taiwan does not use, and that mean one thing only.

OpenCC's `s2twp` has eight hundred. It also makes 許可權 of 权限, 裝置 of 设备, 宣告 of 声明
and 專案 of 项目, where a Taiwanese lawyer or engineer writes 權限, 設備, 聲明 and 項目.
"""
