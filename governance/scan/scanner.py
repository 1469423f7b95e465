"""SAMPLES batch, rules -> findings, stories, routes. Pure: no file, clock, process or database in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from governance.errors import RuleError
from governance.rules import SEVERITIES, Rule, fingerprint
from governance.samples import FINDINGS, ROLES, ROUTES, SAMPLES, STORIES, Text
from governance.scan import queries
from governance.scan.checks import CANDIDATES
from governance.scan.patterns import TEXT_FIELDS, TRIGGERS, compile_rule, load_patterns, scannable
from governance.scan.registry import find_check, find_validator
from governance.scan.routes import extract_routes
from governance.scan.stories import extract_stories
from governance.scan.units import Route, Story
from governance.scan.views import TextColumns, TextView, integers, narrow, strings, text_columns

OUTPUT = ROLES.index("output")


class Scanned(NamedTuple):
    """What one batch gave; schemas FINDINGS, STORIES and ROUTES, in the order of the texts."""

    findings: pa.RecordBatch
    stories: pa.RecordBatch
    routes: pa.RecordBatch


class Found(NamedTuple):
    """One place in one text, before it becomes a row: code points, ordinal of the rule, fixed words."""

    start: int
    end: int
    rule: int
    detail: str


@dataclass(slots=True)
class _Pending:
    """One text that has to be looked at: slots that hit it, and checks that always run on it."""

    slots: list[int]
    always: list[int]
    found: list[Found]


@dataclass(frozen=True, slots=True)
class _Matcher:
    """A rule made ready: ``spans`` of a pattern or query (bytes), or the ``check`` to call."""

    rule: Rule
    check: Any = None
    regex: Any = None
    group: int = 0
    query: Any = None
    validator: Any = None

    def matches(self, data: bytes) -> list[tuple[int, int]]:
        """Return the byte spans of the pattern in *data*; group 1 where it took part, else the whole match."""
        spans = []
        for match in self.regex.finditer(data):
            span = match.span(self.group)
            if span[0] < 0:
                span = match.span()
            if span[0] < span[1]:
                spans.append(span)
        return spans


def _matcher(rule: Rule) -> _Matcher:
    validator = find_validator(rule.validator, rule.rule_id) if rule.validator else None
    if rule.kind == "pattern":
        regex = compile_rule(rule)
        return _Matcher(rule, regex=regex, group=min(1, regex.groups), validator=validator)
    if rule.kind == "query":
        if rule.field not in TEXT_FIELDS:
            raise RuleError(f"{rule.rule_id}: field is {rule.field!r}; a query reads {', '.join(TEXT_FIELDS)}")
        query = queries.compile_query(rule.language, rule.body, rule.rule_id)
        return _Matcher(rule, query=query, validator=validator)
    return _Matcher(rule, check=find_check(rule.body, rule.rule_id), validator=validator)


class Scanner:
    """
    All rules over batches of samples, in one pass.

    Rules of kind ``sql`` are left out: they run over the tables, later. Routes are extracted from every text,
    stories from outputs alone: a story in a prompt is given to the model, not taught to it.
    """

    def __init__(self, rules: Sequence[Rule], key: bytes, database: bytes | None = None) -> None:
        """
        Args:
            rules: as for ``compile_database``; the order of rules does not change what is found.
            key: of the fingerprints.
            database: what ``compile_database`` gave for the same rules; None compiles here.

        Raises:
            RuleError: a rule names an unknown check or validator, or its query or pattern is wrong.
        """
        scanned = scannable(rules)
        self._key = key
        self._patterns = load_patterns(scanned, database)
        self._matchers = [_matcher(rule) for rule in scanned]
        self._routes, self._stories, self._common_wide, self._wide = (len(scanned) + i for i in range(len(TRIGGERS)))
        ordinals = range(len(scanned))
        self._on_text = {i for i in ordinals if scanned[i].field in TEXT_FIELDS or scanned[i].kind == "pattern"}
        self._on_text -= {i for i in ordinals if scanned[i].field in ("path", "route", "story")}
        self._on_routes = [i for i in ordinals if scanned[i].field in ("path", "route")]
        self._on_stories = [i for i in ordinals if scanned[i].field == "story"]
        self._on_metadata = {
            i for i in ordinals if scanned[i].sensitive and scanned[i].kind == "pattern" and scanned[i].field == "any"
        }
        self._on_samples = [i for i in ordinals if scanned[i].field == "sample" and scanned[i].kind == "check"]

    def scan(self, batch: pa.RecordBatch, *, overlaps: bool = False) -> Scanned:
        """
        Return findings, stories and routes of a SAMPLES *batch*.

        Findings come in the order row, text, start, end, rule; each (text, rule, start, end) once. Where rules of one
        sensitive pack flag overlapping spans, the more specific one stays, then the longer one, then the first;
        *overlaps* keeps them all, so that a probe is found by its own rule.
        """
        texts = text_columns(batch)
        pending = self._pending(texts)
        out = _Rows(batch, texts, [m.rule for m in self._matchers], self._key)
        for t in sorted(pending):
            view = TextView(texts.bytes_of(t))
            found = self._scan_text(texts, t, view, pending[t], out)
            if not overlaps:
                found = self._resolved(found)
            out.add_findings(t, view.text, sorted(set(found), key=self._order))
        self._scan_metadata(batch, out, overlaps=overlaps)
        return out.finished()

    def _scan_metadata(self, batch: pa.RecordBatch, out: _Rows, *, overlaps: bool) -> None:
        """
        Look for secrets and personal data in what a record holds beside its texts.

        A column that no role reads is still in the file, so it must not be a place to hide in. Most records of a
        dataset have the same metadata but for a few numbers, so every distinct one is looked at once.
        """
        encoded = batch.column(RECORD).dictionary_encode()
        hits: list[int] = []
        for code, record in enumerate(encoded.dictionary):
            data = record.as_py().encode()
            hits.clear()
            self._patterns.scan(data, lambda slot, *_: hits.append(slot))
            slots = [s for s in hits if s in self._on_metadata]
            if not slots:
                continue
            view = TextView(data)
            found = [
                f for s in slots for f in _validated(s, self._matchers[s], view, self._matchers[s].matches(view.data))
            ]
            found = sorted(set(found if overlaps else self._resolved(found)), key=self._order)
            for row in np.flatnonzero(_codes(encoded) == code).tolist():
                out.add_findings(None, view.text, found, row=row)

    def _order(self, found: Found) -> tuple[int, int, str, str]:
        return found.start, found.end, self._matchers[found.rule].rule.rule_id, found.detail

    def _pending(self, texts: TextColumns) -> dict[int, _Pending]:
        """Run the one pass over all texts, and the checks that look at whole samples."""
        pending: dict[int, _Pending] = {}
        hits: list[int] = []
        append = hits.append

        def on_hit(slot: int, *_: object) -> None:
            append(slot)

        scan, data = self._patterns.scan, texts.data
        wanted = np.flatnonzero(texts.ends > texts.starts)
        for t, start, end in zip(
            wanted.tolist(), texts.starts[wanted].tolist(), texts.ends[wanted].tolist(), strict=True
        ):
            scan(data[start:end], on_hit)
            if hits:
                pending[t] = _Pending(hits.copy(), [], [])
                hits.clear()
        for ordinal in self._on_text:
            matcher = self._matchers[ordinal]
            if matcher.check is not None and not matcher.rule.keywords:
                for t in _candidates(matcher.rule, texts, texts.is_role(matcher.rule.field)):
                    pending.setdefault(t, _Pending([], [], [])).always.append(ordinal)
        for ordinal in self._on_samples:
            self._check_samples(ordinal, texts, pending)
        return pending

    def _check_samples(self, ordinal: int, texts: TextColumns, pending: dict[int, _Pending]) -> None:
        matcher = self._matchers[ordinal]
        every = np.ones(len(texts.first) - 1, np.bool_)
        for row in _candidates(matcher.rule, texts, every):
            first, last = int(texts.first[row]), int(texts.first[row + 1])
            members = [texts.text_of(t) for t in range(first, last)]
            for hit in matcher.check(members, "", matcher.rule.params):
                t = first + _member(members, hit.field)
                if t < last:
                    found = Found(hit.start, hit.end, ordinal, hit.detail)
                    pending.setdefault(t, _Pending([], [], [])).found.append(found)

    def _scan_text(self, texts: TextColumns, t: int, view: TextView, todo: _Pending, out: _Rows) -> list[Found]:
        role = int(texts.roles[t])
        found = list(todo.found)
        trees: dict[str, Any] = {}
        slots = [s for s in todo.slots if s in self._on_text and _admits(self._matchers[s].rule.field, role)]
        for ordinal in slots + todo.always:
            matcher = self._matchers[ordinal]
            if matcher.check is not None:
                unit = texts.text_of(t)
                found += _hits(ordinal, matcher.check(unit, unit.text, matcher.rule.params))
            elif matcher.query is not None:
                language = matcher.rule.language
                if language not in trees:
                    trees[language] = queries.parse(language, view.data)
                found += _validated(ordinal, matcher, view, queries.captured(matcher.query, trees[language]))
            else:
                found += _validated(ordinal, matcher, view, matcher.matches(view.data))
        if self._wide in todo.slots or self._common_wide in todo.slots:
            found += self._scan_narrow(view, role, common_only=self._wide not in todo.slots)
        if self._routes in todo.slots and (routes := extract_routes(view.text)):
            out.add_routes(t, routes)
            found += self._judge_routes(view.text, routes)
        if self._stories in todo.slots and role == OUTPUT and (stories := extract_stories(view.text)):
            out.add_stories(t, stories)
            found += self._judge_stories(view.text, stories)
        return found

    def _scan_narrow(self, view: TextView, role: int, *, common_only: bool) -> Iterator[Found]:
        """Patterns again over the NFKC view; its code points stand where those of the text stand."""
        narrowed = TextView(narrow(view.text, common_only=common_only).encode())
        slots: list[int] = []
        self._patterns.scan(narrowed.data, lambda slot, *_: slots.append(slot))
        for ordinal in slots:
            if ordinal not in self._on_text:
                continue
            matcher = self._matchers[ordinal]
            if matcher.regex is not None and _admits(matcher.rule.field, role):
                yield from _validated(ordinal, matcher, narrowed, matcher.matches(narrowed.data))

    def _judge_routes(self, text: str, routes: Sequence[Route]) -> Iterator[Found]:
        for ordinal in self._on_routes:
            matcher = self._matchers[ordinal]
            for route in routes:
                if matcher.check is not None:
                    yield from _hits(ordinal, matcher.check(route, text, matcher.rule.params))
                else:
                    whole = f"{route.method} {route.path}" if matcher.rule.field == "route" else route.path
                    before = len(whole) - len(route.path)
                    path = TextView(whole.encode())
                    for hit in _validated(ordinal, matcher, path, matcher.matches(path.data)):
                        start, end = route.locate(max(hit.start - before, 0), max(hit.end - before, 0))
                        yield Found(start, end, ordinal, "")

    def _judge_stories(self, text: str, stories: Sequence[Story]) -> Iterator[Found]:
        for ordinal in self._on_stories:
            matcher = self._matchers[ordinal]
            for story in stories:
                if matcher.check is not None:
                    yield from _hits(ordinal, matcher.check(story, text, matcher.rule.params))
                else:
                    part = TextView(text[story.start : story.end].encode())
                    for hit in _validated(ordinal, matcher, part, matcher.matches(part.data)):
                        yield Found(story.start + hit.start, story.start + hit.end, ordinal, "")

    def _resolved(self, found: list[Found]) -> list[Found]:
        """
        Keep of overlapping findings in one sensitive pack the graver, then the more specific, the longer, the first.

        The graver one comes first: a weak rule that somebody adds must not hide what a strong one sees.
        """
        kept: dict[str, list[Found]] = {}
        plain: list[Found] = []
        for item in sorted(found, key=self._preference):
            rule = self._matchers[item.rule].rule
            if not rule.sensitive:
                plain.append(item)
            else:
                others = kept.setdefault(rule.pack, [])
                if all(item.end <= o.start or o.end <= item.start for o in others):
                    others.append(item)
        return plain + [item for items in kept.values() for item in items]

    def _preference(self, found: Found) -> tuple[int, int, int, int, str, str]:
        rule = self._matchers[found.rule].rule
        return (
            SEVERITIES.index(rule.severity),
            -rule.specificity,
            found.start - found.end,
            found.start,
            rule.rule_id,
            found.detail,
        )


def _codes(encoded: pa.DictionaryArray) -> Any:
    """The dictionary codes of an array; nulls count as none."""
    indices = encoded.indices
    values = np.frombuffer(indices.buffers()[1] or b"", np.int32)[indices.offset : indices.offset + len(indices)]
    if not indices.null_count:
        return values
    return np.where([v.is_valid for v in indices], values, -1)


def _admits(field: str, role: int) -> bool:
    if field == "prompt":
        return role != OUTPUT
    return field not in ROLES or (role >= 0 and ROLES[role] == field)


def _candidates(rule: Rule, texts: TextColumns, among: Any) -> list[int]:
    narrower: Callable[[TextColumns], Any] | None = CANDIDATES.get(rule.body)
    mask = among if narrower is None else among & narrower(texts)
    return [int(i) for i in np.flatnonzero(mask)]


def _member(members: Sequence[Text], field: str) -> int:
    """Return which text a finding about the whole sample stands in: the named one, else the output, else the first."""
    named = [i for i, member in enumerate(members) if member.field == field]
    outputs = [i for i, member in enumerate(members) if member.role == "output"]
    return [*named, *outputs, 0][0]


def _hits(ordinal: int, hits: Iterable[Any]) -> Iterator[Found]:
    for hit in hits:
        yield Found(hit.start, hit.end, ordinal, hit.detail)


def _validated(ordinal: int, matcher: _Matcher, view: TextView, spans: Sequence[tuple[int, int]]) -> Iterator[Found]:
    for start, end in view.spans(spans):
        if matcher.validator is None or matcher.validator(view.text[start:end], view.text, start, end):
            yield Found(start, end, ordinal, "")


class _Rows:
    """Columns of the three tables while a batch is scanned."""

    def __init__(self, batch: pa.RecordBatch, texts: TextColumns, rules: Sequence[Rule], key: bytes) -> None:
        self._batch, self._texts, self._rules, self._key = batch, texts, rules, key
        self._findings: list[tuple[Any, ...]] = []
        self._in_record: list[bool] = []  # of each finding: it stands in the metadata, not in a text
        self._stories: list[tuple[Any, ...]] = []
        self._routes: list[tuple[Any, ...]] = []

    def _place(self, t: int) -> tuple[int, int]:
        return t, int(self._texts.rows[t])

    def add_findings(self, t: int | None, text: str, found: Sequence[Found], *, row: int = 0) -> None:
        """
        Append *found*, which is sorted by start, so that lines are counted in one pass.

        ``t`` is None for the metadata of sample *row*.
        """
        place = (0, row) if t is None else self._place(t)
        line, at = 1, 0
        for item in found:
            line += text.count("\n", at, item.start)
            at = max(at, item.start)
            rule = self._rules[item.rule]
            # A finding without text is about its sample: one that is accepted must not accept all of them.
            flagged = text[item.start : item.end] or self._batch.column(SAMPLE_ID)[place[1]].as_py()
            mark = fingerprint(self._key, rule.rule_id, flagged)
            self._in_record.append(t is None)
            self._findings.append((*place, rule.rule_id, rule.severity, item.start, item.end, line, item.detail, mark))

    def add_routes(self, t: int, routes: Sequence[Route]) -> None:
        self._routes += [(*self._place(t), r.line, r.framework, r.method, r.start, r.end) for r in routes]

    def add_stories(self, t: int, stories: Sequence[Story]) -> None:
        self._stories += [
            (*self._place(t), i, s.language, s.format, s.declared, s.effective, s.start, s.end)
            for i, s in enumerate(stories)
        ]

    def finished(self) -> Scanned:
        """Return the three batches; findings in the metadata come after those in the sample's texts."""
        order = sorted(range(len(self._findings)), key=lambda i: (self._findings[i][1], self._in_record[i]))
        self._findings = [self._findings[i] for i in order]
        self._in_record = [self._in_record[i] for i in order]
        return Scanned(
            self._batch_of(FINDINGS, self._findings),
            self._batch_of(STORIES, self._stories),
            self._batch_of(ROUTES, self._routes),
        )

    def _batch_of(self, schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
        """Columns n, file, row, sample_id and field come from the samples; the others are those of *rows*, in order."""
        if not rows:
            return _empty(schema)
        names = [name for name in schema.names if name not in _SHARED]
        own = dict(zip(names, zip(*(r[2:] for r in rows), strict=True), strict=True))
        t, row = integers([r[0] for r in rows]), integers([r[1] for r in rows])
        columns = []
        for column in schema:
            if column.name == "field":
                fields = self._texts.fields.take(t) if len(self._texts.fields) else None
                if schema is FINDINGS and any(self._in_record):
                    names_of = fields.to_pylist() if fields is not None else []
                    marked = enumerate(self._in_record)
                    fields = strings(["record" if record else names_of[i] for i, record in marked])
                columns.append(fields)
            elif column.name in _SHARED:
                columns.append(self._batch.column(column.name).take(row))
            else:
                make = strings if pa.types.is_string(column.type) else integers
                columns.append(make(own[column.name]))
        return pa.RecordBatch.from_arrays(columns, schema=schema)


RECORD, SAMPLE_ID = SAMPLES.get_field_index("record"), SAMPLES.get_field_index("sample_id")
_SHARED = ("n", "file", "row", "sample_id", "field")


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    columns = [strings([]) if pa.types.is_string(c.type) else integers([]) for c in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
