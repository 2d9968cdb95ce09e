"""How a turn is worded: whether it names a subject, and whether it points back to one.

A turn without words of its own (「為什麼？」, "how long does that take?") names no subject,
whatever a classifier makes of it. The lists hold the commonest words of questions in
Chinese and English that belong to no subject at all.
"""

import re
from dataclasses import dataclass

from tame_router.routing.text import CJK, normalise

_CHINESE_EMPTY = (
    "為什麼|什麼|怎麼樣|怎麼辦|怎麼會|怎麼|怎樣|如何|多久|多少錢|多少|多大|幾個|幾次|哪一種|哪一個|哪一"
    "|哪種|哪個|哪些|哪裡|哪邊|哪|誰|是不是|有沒有|能不能|可不可以|會不會|要不要|可以|可能|需要|應該"
    "|必須|一定|如果說|如果|要是|萬一|假如|但是|可是|不過|所以|因為|然後|還是|還有|或是|或者|另外|以及"
    "|而且|其他的?|別的|換成|改成|這樣|那樣|這個|那個|這種|那種|這些|那些|這裡|那裡|這|那麼|那|它們?"
    "|他們?|她們?|我們?|你們?|您|自己|上述|前述|剛剛|剛才|前面|上面|後面|請問|請|謝謝|麻煩|幫忙|幫"
    "|想問|問|知道|告訴|說明|解釋|詳細|繼續|舉例來說|舉個例子|舉例|例子|例如|比如|比較|大概|大約|左右"
    "|通常|一般|一下|一點|一樣|同樣|相同|一直|已經|現在|目前|之前|之後|以後|今天|明天|昨天"
    "|最後|再來|再|也|都|就|才|又|還|很|太|更|最|比|被|把|跟|和|與|或|在|到|從|對|給|用|讓|要|會|能|有"
    "|沒有|沒|不|是|的話|的|得|地|了|著|過|嗎|呢|吧|啊|喔|哦|耶|嘛|啦|好的|好嗎|好|行|做|弄|算|花"
    "|差別|差異|差在|意思|原因|理由|方法|辦法|後果|影響|時間|時候|問題|情況|狀況|步驟|部分|方式|東西"
    "|真的|第?[幾一二兩三四五六七八九十半]+(?:天|年|週|個?月|次|種|個)?|個|次|種|只|點|些|下|短|長|大|小|多|少|低|高|快|慢|說|講|看|想"
)
_ENGLISH_EMPTY = (
    "a|about|after|again|ago|all|already|also|always|am|an|and|another|any|anything|are|as|ask|"
    "at|away|be|because|been|before|better|between|both|but|by|ca|can|change|cheaper|could|did|"
    "difference|do|does|doing|done|each|easier|either|else|enough|ever|example|examples|explain|"
    "faster|first|fix|for|from|further|get|give|go|going|good|had|happen|happens|has|have|he|"
    "help|her|here|him|his|hmm|how|i|if|in|instead|into|is|it|its|just|keep|kind|know|last|later|"
    "least|less|let|like|long|longer|look|lot|make|many|may|maybe|me|mean|means|might|mine|more|"
    "most|much|must|my|need|never|next|no|not|now|of|off|often|oh|ok|okay|on|once|one|ones|only|"
    "or|other|others|our|out|over|part|please|possible|problem|really|reason|right|same|say|"
    "second|see|she|shorter|should|show|simple|simpler|so|some|someone|something|sort|still|sure|"
    "take|takes|tell|than|thank|thanks|that|the|their|them|then|there|these|they|thing|things|"
    "think|this|those|time|times|to|too|tried|try|two|up|us|use|using|very|want|was|way|ways|we|"
    "well|were|what|when|where|whether|which|while|who|why|will|with|without|wo|wonder|word|"
    "words|worried|worry|worse|would|wrong|yes|yet|you|your"
)
_OPENERS = (
    "and|or|but|so|then|also|what about|how about|what if|why|in that case|same|it|its|that|this"
    "|these|those|they|he|she|ok|okay|yes|no"
)

_UNIT = re.compile(rf"([{CJK}])|[^\W_{CJK}]+(?:['’][^\W_{CJK}]+)*")
_CHINESE_RUN = re.compile(f"[{CJK}]+")
_EMPTY_RUN = re.compile(_CHINESE_EMPTY)
_EMPTY_WORD = re.compile(_ENGLISH_EMPTY)
_OPENER = re.compile(
    rf"(?:那|這|它|他|她|該|此|上述|前述|如果|要是|萬一|換成|改成)|(?:{_OPENERS})\b"
)
_REFERENT = re.compile(
    "它|這個|那個|這種|那種|這樣|那樣|這些|那些|上述|前面|剛才|剛剛|前者|後者|你說"
    r"|\b(?:it|its|that|this|those|these|they|them|he|him|she|her|ones?|former|latter)\b"
)
_ELLIPSIS = re.compile(r"呢[?!。~\s]*$|^(?:what|how) about\b")

_CONTRACTED = re.compile(r"(?:n['’]t|['’](?:s|re|m|d|ll|ve))$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What the words of a turn say of themselves.

    Attributes:
        subject_words: Words that name a subject, two Chinese characters counted as one;
            0: the turn names none.
        signs: Signs that it points back: an opening (「那」, "and"), a referent (「它」,
            "that"), an ellipsis (「…呢？」, "what about …"). From 0 to 3.
    """

    subject_words: float
    signs: int


def read_wording(text: str) -> Wording:
    """Read how a turn is worded.

    Args:
        text: As it was written.
    """
    reading = normalise(text)
    signs = (_OPENER.match(reading), _REFERENT.search(reading), _ELLIPSIS.search(reading))
    return Wording(subject_words=_subject_words(reading), signs=sum(map(bool, signs)))


def _subject_words(reading: str) -> float:
    characters = sum(len(_EMPTY_RUN.sub("", run)) for run in _CHINESE_RUN.findall(reading))
    words = sum(not match[1] and not _is_empty(match[0]) for match in _UNIT.finditer(reading))
    return characters / 2 + words


def _is_empty(word: str) -> bool:
    return _EMPTY_WORD.fullmatch(_CONTRACTED.sub("", word)) is not None
