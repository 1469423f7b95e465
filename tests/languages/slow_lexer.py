"""any bytes -> lexemes, kinds and folded hashes, slowly: with Python's decoder, regular expressions and `find`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.languages import syntax
from governance.languages.characters import ALONE, DIGIT, HAN, LETTER, SPACE, character_classes
from governance.languages.lexer import ID, KINDS, NUM, OPERATORS, STR, hash_bytes
from governance.languages.syntax import LANGUAGES, SYNTAXES, Delimiter, Syntax

WORDS, OPENING, CLOSING = ("word", "cjk"), b"([{", b")]}"


def letter(character: str) -> bool:
    """Whether the character is part of words."""
    return ord(character) < character_classes().size and character_classes()[ord(character)] in (LETTER, DIGIT)


def slow_lexemes(raw: bytes) -> list[tuple[int, int, str]]:
    """Byte offsets and kinds of the lexemes of *raw* as prose, character by character over Python's own decoder."""
    text = raw.decode("utf-8", "surrogateescape")
    places = [0]
    for c in text:
        places.append(places[-1] + (1 if "\udc80" <= c <= "\udcff" else len(c.encode())))
    several = sorted(OPERATORS.split(), key=len, reverse=True)
    found, k = [], 0
    while k < len(text):
        kind = character_classes()[ord(text[k])] if ord(text[k]) < character_classes().size else ALONE
        start = k
        if kind == SPACE:
            k += 1
            continue
        if kind == LETTER:
            while k < len(text) and letter(text[k]):
                k += 1
        elif kind == DIGIT:
            k = slow_number(text, k)
        else:
            k += next((len(op) for op in several if text.startswith(op, k)), 1)
        name = {LETTER: "word", DIGIT: "number", HAN: "cjk"}.get(int(kind), "operator")
        found.append((places[start], places[k], name))
    return found


def slow_number(text: str, k: int) -> int:
    """Where the number at *k* ends."""
    decimal, last = True, ""
    while k < len(text):
        c = text[k]
        digit_next = k + 1 < len(text) and text[k + 1] in "0123456789"
        if letter(c):
            if c not in "_0123456789" and (c not in "eE" or last in ("e", "E")):
                decimal = False
            last = c
        elif c == "." and digit_next:
            last = ""
        elif c in "+-" and digit_next and decimal and last in ("e", "E"):
            decimal, last = False, ""
        else:
            break
        k += 1
    return k


def until(pattern: bytes, raw: bytes, at: int) -> int:
    """Where the match of *pattern* at *at* ends; -1 without one."""
    match = re.compile(pattern).match(raw, at)
    return match.end() if match else -1


def line_end(raw: bytes, at: int) -> int:
    """Where the line of *at* ends."""
    return until(rb"[^\r\n]*", raw, at)


def line_start(raw: bytes, at: int) -> int:
    """Where the line of *at* begins."""
    return max(raw.rfind(b"\n", 0, at), raw.rfind(b"\r", 0, at)) + 1


def behind(raw: bytes, what: bytes, at: int) -> int:
    """The end of the next *what*, else of everything."""
    place = raw.find(what, at)
    return len(raw) if place < 0 else place + len(what)


def balanced(raw: bytes, at: int, tokens: bytes, opened: bytes, closed: bytes) -> int:
    """The end of what closes a bracket that is open at *at*, going by *tokens*; -1 without one."""
    depth = 1
    for token in re.compile(tokens).finditer(raw, at):
        depth += -1 if token[0] == closed else token[0] == opened
        if depth == 0:
            return token.end()
    return -1


class SlowFold:
    """One text in one language; `kinds` and `renamed` are filled by *run*."""

    def __init__(self, raw: bytes, language: Syntax) -> None:
        """Cut the lexemes."""
        self.raw, self.language = raw, language
        self.lexemes = slow_lexemes(raw)
        self.kinds = [kind for _, _, kind in self.lexemes]
        self.renamed = [hash_bytes(raw[start:end]) for start, end, _ in self.lexemes]
        self.budget = 8 * len(raw) + 4096
        self.late: tuple[int, int] | None = None
        self.words = {hash_bytes((w.lower() if language.any_case else w).encode()) for w in language.words}

    # ---- where regions end

    def hole_end(self, at: int, opened: bytes, several: bool) -> int:
        """Where the code in a string ends; its strings are passed over, its brackets nest."""
        tokens = rb"\\[\s\S]?|(?P<quote>[\"'`])|[\s\S]"
        depth, quote = 1, b""
        for token in re.compile(tokens).finditer(self.raw, at):
            if token[0] in (b"\r", b"\n") and not several:
                return -1
            if token["quote"]:
                quote = b"" if quote == token[0] else quote or token[0]
            elif not quote:
                depth += {opened: 1, {b"(": b")", b"{": b"}"}[opened]: -1}.get(token[0], 0)
                if depth == 0:
                    return token.end()
        return -1

    def quoted_end(self, begin: int, d: Delimiter) -> int:
        """Where the string ends whose text begins at *begin*: token by token, each one a regular expression."""
        raw, close, hole = self.raw, re.escape(d.close.encode()), d.hole.encode()
        several = bool(d.flags & syntax.MULTILINE) and (len(d.close) > 1 or self.budget > 0)
        tokens = [] if several else [rb"(?P<line>[\r\n])"]
        if hole:
            tokens.append(rb"(?P<hole>%s)" % re.escape(hole))
        if d.flags & syntax.BACKSLASH:
            tokens.append(rb"\\(?:\r\n|[\s\S])?")
        if d.flags & syntax.MAYBE:
            tokens.append(rb"\\%s(?=[A-Za-z0-9_])" % close[:1])
        if d.flags & syntax.DOUBLED:
            tokens.append(close + close)
        tokens += [rb"(?P<close>%s)" % close, rb"(?P<other>[\s\S])"]
        step, at = re.compile(b"|".join(tokens)), begin
        while match := step.match(raw, at):
            groups = match.groupdict()
            if groups.get("line"):
                return match.start()
            if groups["close"]:
                return match.end()
            at = match.end()
            if groups.get("hole"):
                if self.budget <= 0:  # what opens no hole any more may still be an escape
                    at -= len(hole) - (2 if hole[:1] == b"\\" else 1)
                    continue
                inner = self.hole_end(at, hole[-1:], several)
                self.budget -= 0 if inner > 0 else len(raw) - at
                at = max(at, inner)
        if several and len(d.close) == 1:
            self.budget -= len(raw) - begin
            return line_end(raw, begin)
        return len(raw)

    def block_end(self, at: int, d: Delimiter) -> int:
        """Where the block comment ends, or everything."""
        opened, closed = d.open.encode(), d.close.encode()
        tokens = re.escape(closed) + (b"|" + re.escape(opened) if d.flags & syntax.NESTED else b"")
        end = balanced(self.raw, at, tokens, opened, closed)
        return len(self.raw) if end < 0 else end

    def tagged_end(self, at: int, shape: int) -> int:
        """Where a string ends that names its own closing text."""
        raw = self.raw
        if shape == syntax.CPP_RAW:
            tag = re.compile(rb"([^\x00-\x20\"()\\]{0,17}+)\(").match(raw, at)
            return behind(raw, b")" + tag[1] + b'"', tag.end()) if tag else -1
        if shape == syntax.HASHED:
            tag = re.compile(rb"(#{1,255}+)\"").match(raw, at - 1)
            return behind(raw, b'"' + tag[1], tag.end()) if tag else -1
        tag = re.compile(rb"(?![0-9])([A-Za-z0-9_\x80-\xff]{0,63}+)\$").match(raw, at)
        return behind(raw, b"$" + tag[1] + b"$", tag.end()) if tag else -1

    def percent_end(self, at: int) -> int:
        """Where a Ruby per cent literal ends."""
        opened = re.compile(rb"[qwirsxQWIRSX]?+([(\[{<|!])").match(self.raw, at)
        if not opened:
            return -1
        closed = {b"(": b")", b"[": b"]", b"{": b"}", b"<": b">"}.get(opened[1], opened[1])
        return balanced(self.raw, opened.end(), rb"\\[\s\S]?|[\s\S]", opened[1], closed)

    def heredoc(self, at: int, body: int, dashed: bool) -> tuple[int, int] | None:
        """Where the text begins and ends that the operator ending at *at* announces."""
        space = b"" if dashed else rb"[ \t]*+"
        head = re.compile(rb"([-~]?+)%s([\"'`]?+)((?![0-9])[A-Za-z0-9_]++)(\2)" % space).match(self.raw, at)
        if not head or (dashed and not head[1] and not head[2] and not head[3][:1].isupper()):
            return None
        start = body or line_end(self.raw, head.end(3)) + 1
        last = re.compile(rb"[ \t]*+%s(?![A-Za-z0-9_])" % head[3])
        for line in [start, *(m.end() for m in re.compile(rb"[\r\n]").finditer(self.raw, start))]:
            found = last.match(self.raw, line)
            if found and line < len(self.raw):
                return start, found.end()
        return None

    # ---- what opens where

    def stands_right(self, at: int, d: Delimiter, value: bool) -> bool:
        """Whether the bytes around allow the delimiter."""
        inner = at + len(d.open)
        before = self.raw[at - 1 : at] or b"\n"
        after = self.raw[inner : inner + 1] or b"\n"
        line = self.raw[line_start(self.raw, at) : at]
        wrong = [
            d.flags & syntax.WORD_START and before > b" " and before not in b"&();|",
            d.flags & syntax.APART and re.match(rb"[A-Za-z0-9_\x80-\xff]", before),
            d.flags & syntax.NO_BRACKET and after == b"[",
            d.flags & syntax.LINE_START and line.strip(b" \t"),
            d.shape in (syntax.QUOTED, syntax.CHARACTER) and before == b"\\",
            d.shape == syntax.REGEX and after in (b"*", b"/"),
        ]
        if any(wrong):
            return False
        if d.shape not in (syntax.REGEX, syntax.PERCENT):
            return True
        if value:
            return bool(d.flags & syntax.SPACED) and before <= b" " and after > b" " and after != b"="
        return before != b"<"

    def region_end(self, at: int, d: Delimiter, value: bool) -> int:
        """Where the comment or string ends that *d* opens at *at*; -1 if it opens none."""
        raw, inner = self.raw, at + len(d.open)
        if not self.stands_right(at, d, value):
            return -1
        if d.shape == syntax.QUOTED:
            return self.quoted_end(inner, d)
        if d.shape == syntax.BLOCK:
            return self.block_end(inner, d)
        if d.shape in (syntax.CPP_RAW, syntax.HASHED, syntax.DOLLAR):
            return self.tagged_end(inner, d.shape)
        if d.shape == syntax.LINE:
            return line_end(raw, inner)
        if d.shape == syntax.CHARACTER:
            return until(rb"(?:\\[\s\S][^'\r\n]{0,10}+|[^\\'\r\n][\x80-\xbf]{0,3}+)'", raw, inner)
        if d.shape == syntax.OUTSIDE:
            return behind(raw, b"<?", inner) - 2 * (b"<?" in raw[inner:])
        if self.budget <= 0:
            return -1
        if d.shape == syntax.PERCENT:
            end = self.percent_end(inner)
            self.budget -= len(raw) - inner if end < 0 else 0
        else:
            end = until(rb"(?:\\[\s\S]?+|\[(?:\\[\s\S]?+|[^\]\\\r\n])*+\]|[^/\\\[\r\n])*+/[a-z]*+", raw, inner)
            self.budget -= line_end(raw, inner) - inner if end < 0 else 0
        return end

    def opened_at(self, at: int, value: bool) -> tuple[int, str] | None:
        """The end and the kind of what opens at the operator at *at*; the longest opening text first."""
        for d in sorted(self.language.delimiters, key=lambda d: -len(d.open)):
            if not self.raw.startswith(d.open.encode(), at):
                continue
            if d.shape == syntax.HEREDOC:
                if self.budget > 0:
                    body = self.late[1] if self.late else 0
                    found = self.heredoc(at + len(d.open), body, bool(d.flags & syntax.DASHED))
                    self.budget -= 0 if found else len(self.raw) - at
                    self.late = (self.late[0] if self.late else found[0], found[1]) if found else self.late
                continue
            end = self.region_end(at, d, value)
            if end > at:
                return end, "text" if d.shape == syntax.OUTSIDE else "comment" if d.kind == 0 else "string"
        return None

    def prefixed_at(self, at: int) -> tuple[int, str] | None:
        """The end of the string whose prefix stands at *at*; small letters of a prefix match capitals."""
        for d in sorted(self.language.prefixed, key=lambda d: -len(d.open)):
            text = self.raw[at : at + len(d.open)].decode("latin-1")
            if len(text) == len(d.open) and all(c in (o, o.upper()) for c, o in zip(text, d.open, strict=True)):
                end = self.region_end(at, d, False)
                if end > at:
                    return end, "string"
        return None

    # ---- the text as a whole

    def regions(self) -> Iterator[tuple[int, int, str]]:
        """Plain lexemes as (k, k, ""), and regions as (first lexeme, end in bytes, kind)."""
        k, start, value = 0, 0, False
        self.depth = 0
        if self.language.tagged and b"<?" in self.raw:
            k = self.inside(0, self.raw.find(b"<?"))
        while k < len(self.lexemes):
            start, _, kind = self.lexemes[k]
            found: tuple[int, str] | None = None
            if self.late and start >= self.late[0]:
                found, self.late = (self.late[1], "string"), None
            elif kind == "operator":
                found = self.opened_at(start, value)
            elif kind == "word":
                found = self.prefixed_at(start)
            if found and found[0] > start:
                end, kind = found
                kind = "comment" if kind == "string" and self.docstring(start, end) else kind
                value = True if kind == "string" else value
                yield k, end, kind
                k = self.inside(k, end)
            else:
                value = self.fold(k)
                k += 1

    def inside(self, k: int, end: int) -> int:
        """The first lexeme from *k* on that starts at *end* or later."""
        while k < len(self.lexemes) and self.lexemes[k][0] < end:
            k += 1
        return k

    def docstring(self, start: int, end: int) -> bool:
        """Whether the string is a statement of its own."""
        line = line_start(self.raw, start)
        before = not self.raw[line:start].strip(b" \t") and self.raw[max(0, line - 2) : line] != b"\\\n"
        after = until(rb"[ \t]*(?:\Z|[\r\n#;])", self.raw, end) >= 0
        return self.language.docstrings and self.depth == 0 and before and after

    def fold(self, k: int) -> bool:
        """Write what a lexeme outside comments and strings folds to; whether a value ends with it."""
        start, end, kind = self.lexemes[k]
        text, language = self.raw[start:end], self.language
        name = (kind in WORDS or (language.dollars and text == b"$")) and not language.prose
        key = hash_bytes(text.lower()) if name and language.any_case else self.renamed[k]
        joined = name and k > 0 and self.lexemes[k - 1][1] == start and self.kinds[k - 1] == "identifier"
        known = name and not joined and key in self.words
        self.depth = max(0, self.depth + (kind == "operator") * ((text in OPENING) - (text in CLOSING)))
        if name:
            self.kinds[k] = "keyword" if known else "identifier"
        if language.folds and (name or kind == "number"):
            self.renamed[k] = int(NUM) if kind == "number" else key if known else 0 if joined else int(ID)
        return (name and not known) or kind == "number" or (kind == "operator" and text in CLOSING)

    def run(self) -> SlowFold:
        """Fill `kinds` and `renamed`."""
        for k, end, kind in self.regions():
            for inner in range(k, self.inside(k, end) if kind != "text" else k):
                self.kinds[inner] = kind
                if kind == "comment":
                    self.renamed[inner] = 0
                elif self.language.folds:
                    self.renamed[inner] = int(STR) if inner == k else 0
        return self


def slow_fold(raw: bytes, number: int) -> tuple[list[int], list[int]]:
    """Kinds and folded hashes of *raw* in a language that is not prose."""
    done = SlowFold(raw, SYNTAXES[number]).run()
    assert LANGUAGES[number] == done.language.name
    return [KINDS.index(kind) for kind in done.kinds], done.renamed
