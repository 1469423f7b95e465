"""one record (a dict) -> its texts with field and role, its template, its provenance; or why it is no sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from governance.samples import PROVENANCE

INT64_MAX = 2**63 - 1

PAIRS = (
    # (required output, its prompts in order, shape); the first whose output and one prompt are there wins
    ("output", (("instruction", "instruction"), ("input", "input")), "alpaca"),
    ("completion", (("prompt", "instruction"),), "prompt-completion"),
    (
        "response",
        (("prompt", "instruction"), ("instruction", "instruction"), ("context", "input")),
        "prompt-completion",
    ),
    ("answer", (("question", "instruction"), ("context", "input")), "prompt-completion"),
)
CHATS = {"messages": "messages", "conversations": "conversations"}
TURN_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "instruction",
    "human": "instruction",
    "prompter": "instruction",
    "assistant": "output",
    "gpt": "output",
    "chatgpt": "output",
    "bot": "output",
    "model": "output",
    "function_call": "output",
}
"""Role names of chat formats. Any other (tool, function, observation, ...) is input: the model reads it."""

ALIASES = {"license": "licence", "repo": "repository"}
METADATA = ("metadata", "meta")
OPTIONAL_ROLES = ("input", "system")
"""Roles whose text may be null; it then counts as not given."""

WORDS: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
    bytes: "binary",
}


class Bad(Exception):
    """A record that is no sample: *reason* is a code of QUARANTINE, *detail* fixed words and numbers only."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Slot(NamedTuple):
    """Where one text stands: its field path, its role, and the list or dict that holds it under *key*."""

    field: str
    role: str
    holder: Any
    key: Any


class Plan:
    """
    How records with one tuple of keys are read.

    Attributes:
        columns: (key, field, role) of the text columns, in the order of the sample's texts.
        chat: a column may hold a list of turns.
        plain: a record holds strings in the text columns and nothing else.
        sources: (name of PROVENANCE, key) of the column map.
        order: all keys of the record.
    """

    def __init__(
        self,
        shape: str,
        columns: Iterable[tuple[str, str, str]],
        order: tuple[str, ...],
        *,
        chat: bool = False,
        sources: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.shape = shape
        self.columns = tuple(columns)
        self.order = order
        self.chat = chat
        self.sources = sources
        self.keys = tuple(key for key, _, _ in self.columns)
        self.fields = tuple(field.encode() for _, field, _ in self.columns)
        self.roles = tuple(role.encode() for _, _, role in self.columns)
        self.plain = all(self.roles) and len(self.columns) == len(order)


def escape(key: str) -> str:
    """
    Return *key* as one part of a field path; as in JSON Pointer, ``~`` is ``~0`` and ``/`` is ``~1``.

    >>> escape("a/b")
    'a~1b'
    """
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


class Reader:
    """
    Reads records of one dataset.

    *columns* maps source columns to a role, ``text`` (an output) or a name of PROVENANCE; empty means that the shape is
    known from the keys. Plans are kept per tuple of keys, because nearly all records of a file have the same.
    """

    def __init__(self, columns: Mapping[str, str] | None = None) -> None:
        self.columns = dict(columns or {})
        self._plans: dict[tuple[str, ...], Plan | Bad] = {}

    def plan(self, record: Any) -> Plan:
        """
        Return how *record* is read.

        Raises:
            Bad: it is no object (``wrong-type``), empty (``empty-record``) or has no known shape (``missing-field``).
        """
        if type(record) is not dict:
            raise Bad("wrong-type", f"the record is {word(record)}, expected an object")
        keys = tuple(record)
        found = self._plans.get(keys)
        if found is None:
            try:
                found = self._mapped(keys) if self.columns else _known(keys)
            except Bad as problem:
                found = problem
            if len(self._plans) < 10_000:  # a file with other keys in every record must not fill the memory
                self._plans[keys] = found
        if isinstance(found, Bad):
            raise Bad(found.reason, found.detail)
        return found

    def _mapped(self, keys: tuple[str, ...]) -> Plan:
        missing = [c for c, to in self.columns.items() if c not in keys and _role(to) in ("instruction", "output")]
        if missing:
            raise Bad("missing-field", f"column {missing[0]!r} of the column map is missing")
        texts = tuple(
            (key, escape(key), _role(self.columns[key]))
            for key in self.columns
            if key in keys and self.columns[key] not in PROVENANCE
        )
        if not texts:
            raise Bad("missing-field", "no text column of the column map is there")
        sources = tuple((to, c) for c, to in self.columns.items() if to in PROVENANCE)
        return Plan("mapped", texts, keys, sources=sources)


def _role(target: str) -> str:
    return "output" if target == "text" else target


def _known(keys: tuple[str, ...]) -> Plan:
    if not keys:
        raise Bad("empty-record", "the record has no keys")
    system = [("system", "system", "system")] if "system" in keys else []
    for chat, shape in CHATS.items():
        if chat in keys:
            return Plan(shape, (*system, (chat, chat, "")), keys, chat=True)
    for output, prompts, shape in PAIRS:
        found = [(key, key, role) for key, role in prompts if key in keys]
        if output in keys and found:
            columns = (*system, *found, (output, output, "output"))
            return Plan(shape, columns, keys, chat=shape != "alpaca")
    if "text" in keys:
        return Plan("text", (("text", "text", "output"),), keys)
    raise Bad("missing-field", _why_no_shape(keys))


def _why_no_shape(keys: tuple[str, ...]) -> str:
    for output, prompts, _ in PAIRS:
        if output in keys:
            return f"{output} without {' or '.join(key for key, _ in prompts)}"
        for key, _ in prompts:
            if key in keys and key != "context":
                return f"{key} without {output}"
    return "no known shape; map the columns"


def word(value: Any) -> str:
    """Name the type of *value* as JSON does."""
    return WORDS.get(type(value), "of another type")


def slots(record: dict[str, Any], plan: Plan) -> list[Slot]:
    """
    Return where the texts of *record* stand, in the order of the record's turns or of the plan's columns.

    Raises:
        Bad: a text is no string, or a turn is no turn.
    """
    out: list[Slot] = []
    for key, field, role in plan.columns:
        value = record[key]
        if type(value) is str:
            if not role:
                raise Bad("wrong-type", f"{key} is a string, expected a list of turns")
            out.append(Slot(field, role, record, key))
        elif plan.chat and type(value) is list and role != "system":
            _turns(value, field, out)
        elif value is not None or role not in OPTIONAL_ROLES:
            expected = "a list of turns" if not role else "a string"
            raise Bad("wrong-type", f"{_shown(key, plan)} is {word(value)}, expected {expected}")
    if not out and plan.chat:
        raise Bad("empty-record", "no turn has a text")
    return out


def _shown(key: str, plan: Plan) -> str:
    return f"column {key!r}" if plan.shape == "mapped" else key


def _turns(turns: list[Any], field: str, out: list[Slot]) -> None:
    for i, turn in enumerate(turns):
        if type(turn) is not dict:
            raise Bad("wrong-type", f"turn {i} is {word(turn)}, expected an object")
        name = turn.get("role", turn.get("from"))
        if type(name) is not str or not name:
            raise Bad("missing-field" if name is None else "wrong-type", f"turn {i} has no role")
        role = TURN_ROLES.get(name.lower(), "input")
        key = "content" if "content" in turn else "value"
        calls = turn.get("tool_calls")
        if key not in turn and not calls:
            raise Bad("missing-field", f"turn {i} has no content")
        _content(turn, key, f"{field}/{i}", role, out)
        if isinstance(calls, list):
            _calls(calls, f"{field}/{i}/tool_calls", out)


def _content(turn: dict[str, Any], key: str, field: str, role: str, out: list[Slot]) -> None:
    """A string, null (a turn that only calls tools) or a list of parts, of which the texts count."""
    value = turn.get(key)
    if type(value) is str:
        out.append(Slot(f"{field}/{key}", role, turn, key))
    elif type(value) is list:
        for j, part in enumerate(value):
            if type(part) is str:
                out.append(Slot(f"{field}/{key}/{j}", role, value, j))
            elif type(part) is not dict:
                raise Bad("wrong-type", f"a part of the content is {word(part)}, expected an object")
            elif type(part.get("text")) is str:
                out.append(Slot(f"{field}/{key}/{j}/text", role, part, "text"))
            elif part.get("type") == "text":
                raise Bad("wrong-type", f"the text of a part is {word(part.get('text'))}, expected a string")
    elif value is not None:
        raise Bad("wrong-type", f"the content of a turn is {word(value)}, expected a string")


def _calls(calls: list[Any], field: str, out: list[Slot]) -> None:
    """The arguments of tool calls are written by the model as well, so they are texts: a key may stand in them."""
    for j, call in enumerate(calls):
        function = call.get("function") if type(call) is dict else None
        if type(function) is dict and type(function.get("arguments")) is str:
            out.append(Slot(f"{field}/{j}/function/arguments", "output", function, "arguments"))


def provenance(record: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """
    Return the PROVENANCE columns that *record* has: from the column map, itself, or its ``metadata`` or ``meta``.

    A text column is never provenance. Lines are integers, all others strings; anything else is left out.
    """
    texts = {key for key, _, _ in plan.columns}
    out: dict[str, Any] = {}
    for name, key in plan.sources:
        _take(out, name, record.get(key))
    for place in (record, *(record[m] for m in METADATA if type(record.get(m)) is dict)):
        for name in PROVENANCE:
            if name in place and not (place is record and name in texts):
                _take(out, name, place[name])
        for alias, name in ALIASES.items():
            if alias in place:
                _take(out, name, place[alias])
    return out


def licence_place(record: dict[str, Any], columns: Mapping[str, str]) -> tuple[dict[str, Any], str] | None:
    """
    Return where the licence of *record* stands, as (dict, key), by the order of `provenance`; None if nowhere.

    Args:
        columns: column map of the dataset; a place with a value comes before one that is empty.
    """
    names = ("licence", *(alias for alias, name in ALIASES.items() if name == "licence"))
    places = [(record, column) for column, name in columns.items() if name == "licence" and column in record]
    for holder in (record, *(record[m] for m in METADATA if type(record.get(m)) is dict)):
        places += [(holder, name) for name in names if name in holder]
    filled = [(holder, key) for holder, key in places if _name(holder[key]) is not None]
    return next(iter(filled or places), None)


def _take(out: dict[str, Any], name: str, value: Any) -> None:
    if name in out:
        return
    clean: Callable[[Any], Any] = _line if name.endswith("_line") else _name
    kept = clean(value)
    if kept is not None:
        out[name] = kept


def _line(value: Any) -> int | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if type(value) is int and 0 <= value <= INT64_MAX else None


def _name(value: Any) -> str | None:
    if type(value) is int:
        return str(value)
    return value if type(value) is str and value else None
