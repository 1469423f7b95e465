"""a text -> its lines, each classified: header, role, goal, benefit, section, criterion, step, or plain."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_LINE = 4_000  # characters of a line that are looked at; no story has a longer one

_DECORATION = re.compile(
    r"(?P<space>[ \t　>|]*)(?P<mark>(?:#{1,6}[ \t]+|h[1-6]\.[ \t]+|[-*+•·●○▪–—][ \t]+|\[[ xX]\][ \t]+|(?P<item>\d{1,3})[.)、．][ \t]*"  # noqa: E501
    r"|[（(](?P<item2>\d{1,3})[)）][ \t]*)*)(?P<bold>[*_`]{0,3})"
)
_HEADER = re.compile(
    r"(?:(?P<zh>用户故事|使用者故事)|(?i:(?P<en>(?:agile )?user story))"
    r"|(?P<weak>[^\s:：，。]{0,30}故事卡?|功能|(?i:story|feature))(?=[ \t]*[#\d:：]))[ \t]*"
    r"(?:[#(（]?\d{1,3}[)）]?)?[ \t*_`]*(?:[:：][ \t]*|(?P<end>$)|[-–—.、][ \t]+)(?P<body>.*)"
)
_ROLE = re.compile(
    r"(?:(?P<zh>作为)|(?i:as (?:an?|the) )(?!(?i:result|example|side|consequence|whole|note|rule|reminder|matter|final)\b))"  # noqa: E501
)
_GOAL_ZH = r"(?:(?:，|,)?[ \t]*(?:我(?:们)?(?:想要?|希望|需要|要|期望|能够?|可以)|希望|想要))"
_GOAL_EN = r"(?i:\bI (?:want|would like|need|wish|can|must|should|expect|will)\b|\bI['’]d like\b)"
_BENEFIT_ZH = r"(?:以便于?|从而|为了|以致|这样)"
_BENEFIT_EN = r"(?i:\bso that\b|\bin order (?:to|that)\b|\bso (?:I|we) can\b)"
_GOAL = re.compile(f"{_GOAL_ZH}|{_GOAL_EN}")
_BENEFIT = re.compile(f"{_BENEFIT_ZH}|{_BENEFIT_EN}")
_GLUED_ROLE = re.compile(r"作为一[个名位]|\b[Aa]s an? \w+.{0,80}\bI want")
_CRITERION = re.compile(
    r"(?:(?i:AC|Acceptance Criteri(?:on|a))|验收标准|验收条件|验收准则)[ \t]*[-#]?[ \t]*"
    r"(?:(?P<number>\d{1,3})[ \t*_`]*(?:[:：.、)）-][ \t]*|[ \t]+|$)|(?P<section>s?[ \t*_`]*(?:[:：]|$)))(?P<body>.*)"
)
_SCENARIO = re.compile(
    r"(?P<word>场景大纲|场景|剧本|(?i:Scenario Outline|Scenario Template|Scenario))[ \t]*(?P<number>\d{1,3})?[ \t*_`]*[:：][ \t]*(?P<body>.*)"  # noqa: E501
)
_STEP_ZH = {
    "given": ("假设", "假如", "假定", "给定", "如果"),
    "when": ("当",),
    "then": ("那么", "则", "于是"),
    "and": ("并且", "而且", "同时", "但是"),
}
_KIND = {word: kind for kind, words in _STEP_ZH.items() for word in words} | {
    "given": "given",
    "when": "when",
    "then": "then",
    "and": "and",
    "but": "and",
}
_ZH_WORDS = "假设|假如|假定|给定|如果|当(?![前然地天日下中场代年月事])|那么|则|于是|并且|而且|同时|但是"
_STEP = re.compile(
    rf"(?:(?P<zh>{_ZH_WORDS})|(?P<en>(?i:given|when|then|and|but))(?=[\s:,*_：]|$))[*_`]*[ \t]*[:：,，]?[*_`]*[ \t]*"
)
_INLINE = re.compile(
    r"[，,；;。.][ \t]*(?=(?:当(?![前然地天日下中场代年月事时])|那么|于是|则)|(?:[Ww]hen|WHEN|[Tt]hen|THEN)\s)"
)
_HAN = re.compile(r"[一-鿿]")
_EDGE = " \t\r　*_`"


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line without its indentation and list marks.

    ``kind`` is one of header, role, goal, benefit, section, criterion, step, plain; ``body`` what follows the keyword,
    ``text`` all of it; ``number`` that of the heading or list item; ``item`` true for a list item; ``steps`` the
    ``(kind, body, start, end)`` of a step line, kind ``and`` where the line continues the one before; ``role`` a role
    that is glued to a header; ``weak`` for a header that prose has as well (``Feature:``). ``tongue`` is the language of its keyword.
    """  # noqa: E501

    kind: str
    text: str
    body: str
    start: int
    end: int
    number: int | None = None
    item: bool = False
    tongue: str = ""
    han: bool = False
    steps: tuple[tuple[str, str, int, int], ...] = ()
    role: str = ""
    weak: bool = False


def lines_of(text: str) -> Iterator[Line]:
    """Yield the classified lines of *text* that are not blank."""
    at = 0
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        mark = _DECORATION.match(text, at, min(stop, at + MAX_LINE))
        start = mark.end() if mark else at
        body = text[start : min(stop, start + MAX_LINE)].rstrip(_EDGE)
        if body and mark:
            number = mark["item"] or mark["item2"]
            yield _classify(body, start, int(number) if number else None, bool(mark["mark"].strip("# \t")))
        at = stop + 1


def _classify(text: str, start: int, number: int | None, item: bool) -> Line:
    end, han = start + len(text), bool(_HAN.search(text))
    if m := (_CRITERION.match(text) or _SCENARIO.match(text)):
        tongue = "zh" if text[0] in "验场剧" else ""
        body, found = m["body"].strip(_EDGE), m["number"]
        if not found and "section" in m.groupdict() and not body:
            return Line("section", text, "", start, end, None, item, tongue, han)
        return Line("criterion", text, body, start, end, int(found) if found else number, item, tongue, han)
    if m := _STEP.match(text):
        return Line("step", text, "", start, end, number, item, "zh" if m["zh"] else "en", han, _steps(text, start))
    if m := _ROLE.match(text):
        return Line("role", text, text, start, end, number, item, "zh" if m["zh"] else "en", han)
    if m := _GOAL.match(text):
        return Line("goal", text, text[m.end() :].strip(_EDGE), start, end, number, item, "zh" if han else "en", han)
    if m := _BENEFIT.match(text):
        return Line("benefit", text, text[m.end() :].strip(_EDGE), start, end, number, item, "zh" if han else "en", han)
    if m := _HEADER.match(text):
        body, role = m["body"].strip(_EDGE), ""
        glued = _GLUED_ROLE.search(body)
        if glued:
            body, role = body[: glued.start()].strip(_EDGE + "，,"), body[glued.start() :]
        tongue = "zh" if _HAN.search(m[0][: m.start("body")]) else "en"
        return Line("header", text, body, start, end, None, item, tongue, han, (), role, m["weak"] is not None)
    return Line("plain", text, text.strip(_EDGE), start, end, number, item, "", han)


def _steps(text: str, start: int) -> tuple[tuple[str, str, int, int], ...]:
    cuts = [0, *(m.end() for m in _INLINE.finditer(text)), len(text)]
    out = []
    for a, b in itertools.pairwise(cuts):
        m = _STEP.match(text, a, b)
        if m is None:
            continue
        word = m["zh"] or m["en"].lower()
        body = text[m.end() : b].strip(_EDGE + "，,；;")
        out.append((_KIND[word], body, start + a, start + len(text[:b].rstrip(_EDGE + "，,；;"))))
    return tuple(out)


def split_role(text: str) -> tuple[str, str, str]:
    """
    Return the role, goal and benefit of a line that has one or more of them, each without its keyword.

    >>> split_role("As a pet owner, I want to find pets so that I can choose one.")
    ('pet owner', 'to find pets', 'I can choose one.')
    >>> split_role("作为一名用户，我想登录，以便于查看订单")
    ('用户', '登录', '查看订单')
    """
    role = ""
    if m := _ROLE.match(text):
        goal = _GOAL.search(text, m.end())
        benefit = _BENEFIT.search(text, m.end())
        stop = min(x.start() for x in (goal, benefit) if x) if goal or benefit else len(text)
        role = re.sub(r"^(?:一个|一名|一位|个)", "", text[m.end() : stop].strip(_EDGE + "，,。:：")).strip(_EDGE)
    else:
        goal = _GOAL.match(text)
    if goal is None:
        return role, "", ""
    benefit = _BENEFIT.search(text, goal.end())
    aim = text[goal.end() : benefit.start() if benefit else len(text)].strip(_EDGE + "，,")
    return role, aim, text[benefit.end() :].strip(_EDGE + "，,") if benefit else ""


def starts_goal(lines: Sequence[Line], at: int) -> bool:
    """True if one of the two lines after *at* is a goal."""
    return any(line.kind == "goal" for line in lines[at + 1 : at + 3])
