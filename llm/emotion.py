"""How upset a shopper is: a level from 0 to 3 and the words that say so.

Cues with their exceptions, then what the turn adds: repeated signs, a question asked again,
questions left unresolved, and the level of the turn before, which fades. "麻烦" is politeness.
"""

import re
from dataclasses import dataclass

from llm.plan import Mood

CALM, UNEASY, UPSET, ANGRY = 0, 1, 2, 3
_FADES = 0.5  # what is left of the last level a turn later
_CUES: tuple[tuple[int, re.Pattern[str]], ...] = (
    (
        ANGRY,
        re.compile(
            r"骗子|骗人|骗钱|坑人|坑爹|黑心|无耻|恶心|滚|妈的|他妈|tmd|nmd|傻逼|傻x|混蛋|王八|去死|垃圾"
            r"|气死|火大|忍无可忍|曝光|12315|消协|工商|起诉|律师|报警|法院|告你们|欺负人|耍我|耍人"
            r"|强盗|狗屁|放屁|废物|scam|fraud|ridiculous|disgusting|sue you|worst"
        ),
    ),
    (
        UPSET,
        re.compile(
            r"投诉|投拆|举报|差评|太差|真差|很差|太慢|慢死|什么态度|怎么回事啊|到底|还没(到|发|收到|退|处理|给|解决)"
            r"|怎么还(?!款|价|要填|需要填|可以)|都.{0,4}天了|等了.{0,5}(天|周|星期|久)|拖了|忽悠|不靠谱|没人管|没人理"
            r"|失望|受不了|不满|过分|凭什么|搞什么|什么玩意|不负责|服了|无语|敷衍|推卸|糊弄|没完没了|一次比一次|骂人|蛮横|绝了"
            r"|糟糕|糟心|坑我|人呢|说好的|不是说|第[二三四几]次(了|问|找)"
            r"|terrible|unacceptable|angry|complain|still (not|no|waiting)"
        ),
    ),
    (
        UNEASY,
        re.compile(
            r"着急|急用|很急|急急|催|担心|焦急|快点|赶紧|尽快|怎么回事|为什么还|慢|等着用|不高兴|不开心|郁闷|难受|hurry|worried|urgent"
        ),
    ),
)
# what looks like a cue and is none
_HARMLESS = re.compile(
    r"不(是很|太|怎么)?(着急|急|慢|担心)|没(有)?(生气|不满|投诉|意见)|不是(要|来|想)?(投诉|举报)|不(想|会|用|打算|要)(投诉|举报|差评)"
    r"|慢慢(来|走|吃|等|看)?|滚(筒|轮|珠|动|刷)|垃圾(桶|袋|篓|分类|处理器)|催化|急救|急冻|怎么还款|恶心(想吐|呕吐)?(药)?(?=能治)"
)
_SIGNS = re.compile(r"[!！]{2,}|[?？]{2,}|(?:[!！?？][!！?？])")


@dataclass(frozen=True, slots=True)
class Emotion:
    """`level` 0 calm, 1 uneasy, 2 upset, 3 angry; `cue` is the reason, empty when calm."""

    level: int
    cue: str = ""

    @property
    def mood(self) -> Mood:
        if self.level >= ANGRY:
            return Mood.ANGRY
        return Mood.UPSET if self.level >= UNEASY else Mood.CALM


def read(text: str, *, before: float = 0.0, repeats: int = 0, unresolved: int = 0) -> Emotion:
    """The emotion of one message.

    `before` is the level the last turn ended with, `repeats` how often the same thing was asked
    before, `unresolved` how many turns in a row got no answer.
    """
    words = _HARMLESS.sub(" ", text.lower())
    level, cue = _strongest(words)
    signs = _SIGNS.search(text)
    if signs is not None:
        level, cue = level + 1, cue or signs[0]
    if level and (repeats or unresolved):
        level += 1
    elif repeats > 1:
        level, cue = max(level, UNEASY), cue or "repeated"
    faded = int(before * _FADES)
    if faded > level:
        level, cue = faded, "earlier"
    return Emotion(min(level, ANGRY), cue)


def _strongest(words: str) -> tuple[int, str]:
    """The highest cue; several different cues of a level count as the next one."""
    for level, pattern in _CUES:
        found = list(dict.fromkeys(match[0] for match in pattern.finditer(words)))
        if found:
            return (min(level + 1, ANGRY) if len(found) > 2 else level), found[0]
    return CALM, ""
