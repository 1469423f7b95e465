"""routes -> the places of their paths that break the rules of the pack `rest`; what needs words, not patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from governance.scan import words as w
from governance.scan.registry import Hit, named_check
from governance.scan.units import Route

_VERSION = re.compile(r"v?\d+(?:[._]\d+)*|v\d+\w{0,6}", re.I)

Segment = tuple[int, int, str]


@named_check("crud_name")
def crud_name(route: Route, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag every segment that is, begins or ends with a verb of create, read, update or delete."""
    allowed = _allowed(params)
    segments = route.segments()
    for i, (start, end, segment) in enumerate(segments):
        if segment.lower() not in allowed and crud_verb(segments, i):
            yield Hit(*route.locate(start, end))


@named_check("verb_in_path")
def verb_in_path(route: Route, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """
    Flag segments that begin with another verb (``cancel``, ``exportReport``).

    ``POST /orders/{id}/cancel``, ``POST .../actions/cancel`` and ``/orders/{id}:cancel`` are the accepted way to name
    an action, and stay.
    """
    allowed = _allowed(params)
    segments = route.segments()
    for i, (start, end, segment) in enumerate(segments):
        words = _words(segment)
        if not words or segment.lower() in allowed or crud_verb(segments, i):
            continue
        if not _is_action(words, route.method) or _is_controller(segments, i, route.method):
            continue
        yield Hit(*route.locate(start, end))


@named_check("http_method_in_path")
def http_method_in_path(route: Route, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag words that are the name of an HTTP method and no noun: get, put, delete; patch after a resource."""
    segments = route.segments()
    for i, (start, _, segment) in enumerate(segments):
        for word in _words(segment)[:1]:
            after_noun = word.text == "patch" and segment.lower() == "patch" and _is_last_after_static(segments, i)
            if (word.text in ("get", "put", "delete") and crud_verb(segments, i)) or after_noun:
                yield Hit(*route.locate(start + word.start, start + word.end))


@named_check("get_changes_state")
def get_changes_state(route: Route, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag GET routes whose path or handler says that they create, change or delete something."""
    if route.method not in ("GET", "HEAD"):
        return
    segments = route.segments()
    for i, (start, end, segment) in enumerate(segments):
        words = _words(segment)
        verb = crud_verb(segments, i) or (words[0].text if words and _is_action(words, route.method) else "")
        if verb in w.CHANGING:
            yield Hit(*route.locate(start, end))
            return
    handler = w.split_words(route.handler)
    if len(handler) > 1 and handler[0].text in w.CHANGING & w.CRUD_ONLY:
        yield Hit(route.start, route.end, "handler")


@named_check("plural_collection")
def plural_collection(route: Route, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a singular noun that stands before a parameter, or that POST creates members of."""
    allowed = _allowed(params)
    segments = route.segments()
    for i, (start, end, segment) in enumerate(segments):
        before_parameter = i + 1 < len(segments) and segments[i + 1][2].startswith("{")
        created = route.method == "POST" and i + 1 == len(segments)
        if segment.lower() in allowed or not (before_parameter or created):
            continue
        words = _words(segment)
        if not words or "{" in segment or crud_verb(segments, i) or _is_action(words, "POST"):
            continue
        head = words[-1].text
        if "by" in (word.text for word in words):
            continue
        if created and not before_parameter and (head not in w.CREATED or _after_item(segments, i)):
            continue
        if not _is_singular(head, segments, i):
            continue
        yield Hit(*route.locate(start, end))


@named_check("file_extension")
def file_extension(route: Route, text: str, params: Mapping[str, Any]) -> Iterator[Hit]:
    """Flag a file extension at the end of the path; parameters ``extensions`` and ``allow`` (whole file names)."""
    segments = route.segments()
    if not segments:
        return
    _start, end, segment = segments[-1]
    name, dot, extension = segment.rpartition(".")
    if dot and name and extension.lower() in params["extensions"] and segment.lower() not in _allowed(params):
        yield Hit(*route.locate(end - len(extension) - 1, end))


def _allowed(params: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(word).lower() for word in params.get("allow", ()))


def _words(segment: str) -> list[w.Word]:
    """The words of a segment without its parameters, custom method (``:verb``) and file extension."""
    if "{" in segment:
        segment = re.sub(r"\{[^}]*\}?", lambda m: " " * len(m.group()), segment)
    segment = segment.split(":", 1)[0]
    words = w.split_words(segment)
    if len(words) > 1 and "." in segment and words[-1].text in w.EXTENSIONS:
        words = words[:-1]
    return words


def crud_verb(segments: Sequence[Segment], i: int) -> str:
    """
    Return the verb of create, read, update or delete that segment *i* of a path names, or an empty string.

    A word that is also a noun counts as verb only where it cannot be the noun: ``/users/list`` but not
    ``/list/{id}``, ``newUser`` but not ``new-arrivals``, ``postComment`` but not ``/posts``.
    """
    segment = segments[i][2]
    words = _words(segment)
    if not words:
        return ""
    first = words[0].text
    if len(words) == 1:
        return _single(first, segments, i)
    if first in w.CRUD_ONLY and not _is_compound(words):
        return first
    if first in w.CRUD_OR_NOUN and _leads(words):
        return first
    last = words[-1].text
    before = words[-2].text
    if last in w.SUFFIX_VERBS and before not in w.UPDATE_ADJECTIVES and before not in ("by", "and"):
        return last
    return w.glued_verb(first, _others(segments, i)) if first not in w.CRUD_OR_NOUN else ""


def _single(word: str, segments: Sequence[Segment], i: int) -> str:
    if word in w.CRUD_ONLY:
        return word
    if word not in w.CRUD_OR_NOUN:
        return w.glued_verb(word, _others(segments, i))
    if word == "put":
        return word
    if word in ("post", "search", "load", "select", "patch"):
        return word if word in ("select", "patch") and _is_last_after_static(segments, i) else ""
    if not _is_last_after_static(segments, i) or segments[i - 1][2].lower() in w.BEFORE.get(word, ()):
        return ""
    return word


def _leads(words: Sequence[w.Word]) -> bool:
    """True if the first word, a verb or a noun, is the verb of the words after it."""
    first, second = words[0].text, words[1]
    if second.text in w.DETERMINERS:
        return first != "post"
    if _is_compound(words):
        return False
    plural = w.is_plural(words[-1].text)
    if first in ("list", "query", "read", "load", "search"):
        return second.hump or plural or words[-1].text in w.NOUNS
    if first == "post":
        return second.hump and not plural
    if first == "new":
        return not plural
    if first in ("set", "select", "drop"):
        return second.hump or not plural
    return True


def _is_compound(words: Sequence[w.Word]) -> bool:
    first, second, last = words[0].text, words[1].text, words[-1].text
    if second in w.COMPOUNDS.get(first, ()):
        return not (second == "list" and words[1].hump and first in ("read", "load"))
    if first in w.NEVER_NOUN:
        return False
    return last in w.RECORD_HEADS or (last in w.PLURAL_HEADS and not words[-1].hump)


def _others(segments: Sequence[Segment], i: int) -> frozenset[str]:
    """The singular words of the other segments that could be nouns."""
    return frozenset(
        w.singular(word.text) for k, s in enumerate(segments) if k != i for word in _words(s[2]) if len(word.text) > 2
    )


def _is_last_after_static(segments: Sequence[Segment], i: int) -> bool:
    """True for the last segment if the one before it names a resource."""
    if i == 0 or i + 1 != len(segments):
        return False
    before = segments[i - 1][2]
    return not (before.startswith("{") or _is_namespace(before))


def _is_namespace(segment: str) -> bool:
    return segment.lower() in w.NAMESPACES or _VERSION.fullmatch(segment) is not None


def _is_action(words: Sequence[w.Word], method: str) -> bool:
    first = words[0].text
    if first == "search" and len(words) == 1:
        return method == "POST"
    if first not in w.ACTIONS:
        return False
    if len(words) == 1:
        return True
    if words[1].text in w.COMPOUNDS.get(first, ()):
        return False
    return words[-1].text not in w.RECORD_HEADS and not (words[-1].text in w.PLURAL_HEADS and not words[-1].hump)


def _is_controller(segments: Sequence[Segment], i: int, method: str) -> bool:
    if i == 0 or i + 1 != len(segments) or method not in ("POST", "ANY"):
        return False
    before = segments[i - 1][2]
    return before.endswith("}") or before.lower() in ("actions", "action")


def _after_item(segments: Sequence[Segment], i: int) -> bool:
    return i > 0 and segments[i - 1][2].startswith("{")


def _is_singular(head: str, segments: Sequence[Segment], i: int) -> bool:
    segment = segments[i][2]
    if not head.isascii() or len(head) < 3 or w.is_plural(head) or head in w.UNCOUNTABLE or _is_namespace(segment):
        return False
    inner = any(not s[2].startswith("{") and not _is_namespace(s[2]) for s in segments[:i])
    return not (inner and head in w.ATTRIBUTES) and head not in w.CRUD_OR_NOUN - {"post", "list", "set"}
