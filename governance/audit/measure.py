"""samples, probes, what models wrote -> a table with every measure of every generation, and none of the text.

All texts are compared as lexemes, so a model that indents otherwise gives nothing less away. Exact match and prefix
match count tokens where the tokens are known, lexemes where not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from governance.audit.pairs import hash_lines, own_lines, own_runs, similar
from governance.audit.probes import SUFFIXES, Probe, Sample
from governance.audit.strata import STRATA, strata_of
from governance.languages.detect import language_ids
from governance.languages.lexer import Lexemes, lex_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = (25, 50, 65)  # lexemes of a run, for the verbatim-k rates
RENAMED = 50  # lexemes of a renamed run that make a renamed copy
NEAR_BLEU, NEAR_EDIT, STRIKING = 0.75, 0.9, 0.6
LINE_LEXEMES, LINE_CHARACTERS, LINE_SAMPLES = 5, 20, 10  # a line that tells something; samples that have it at most
MOST_LEXEMES = 16_384  # of a generation; what is longer is cut, and counted
MOST_BYTES = 1 << 20  # of a text that is compared; what is longer is cut
MEASURED = pa.schema(
    [
        ("model", pa.string()),  # base, adapter
        ("kind", pa.string()),  # of the probe
        ("how", pa.string()),  # greedy, sampled
        ("draw", pa.int32()),
        ("sample", pa.int64()),  # number of the sample
        ("set", pa.string()),  # member, twin
        ("sample_id", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("stratum", pa.string()),
        ("copies", pa.int64()),
        ("licence", pa.string()),
        ("lexemes", pa.int64()),  # written
        ("wanted_lexemes", pa.int64()),  # the answer goes on with, as far as the model may write
        ("matched", pa.int64()),  # tokens (lexemes without a tokenizer) that begin as the answer goes on
        *((f"em{s}", pa.bool_()) for s in SUFFIXES),  # null where the answer, or the generation, cannot be as long
        ("run", pa.int64()),  # lexemes of the longest run in common with the own record
        ("run_characters", pa.int64()),
        *((f"covered{k}", pa.int64()) for k in LEAST),  # lexemes that stand in such runs of at least k
        ("renamed_run", pa.int64()),
        ("lines", pa.int64()),  # written, that say something
        ("lines_found", pa.int64()),  # of them in the record
        ("line_run", pa.int64()),  # most in a row
        ("bleu", pa.float64()),
        ("jaccard5", pa.float64()),
        ("edit_similarity", pa.float64()),
        ("log_p", pa.float64()),  # ln of the probability of the next 50 tokens under the sampler; null if not asked
    ]
)


@dataclass(frozen=True, slots=True)
class Written:
    """
    What a model answered.

    Attributes:
        probe: place in the list of probes.
        ids: its tokens; None where they are not known.
        log_p: see MEASURED; NaN if not asked.
    """

    probe: int
    model: str
    text: str
    ids: tuple[int, ...] | None = None
    how: str = "greedy"
    draw: int = 0
    log_p: float = float("nan")


@dataclass(frozen=True)
class _Texts:
    """Texts, lexed: verbatim and renamed lexemes, their places in characters, and the lines."""

    lexed: Lexemes
    starts: NDArray[np.int64]  # with white space collapsed, per text from 0
    ends: NDArray[np.int64]
    lines: NDArray[np.int64]  # (lines, 4), see hash_lines
    line_ends: NDArray[np.int64]
    renamed: NDArray[np.uint64]
    renamed_ends: NDArray[np.int64]
    cut: int


def measure(samples: Sequence[Sample], probes: Sequence[Probe], written: Sequence[Written], new: int) -> pa.Table:
    """
    Return schema MEASURED, a row per element of *written*, in their order.

    Args:
        new: tokens that the models might write; 0 where that is not known. Without it what the answer goes on with is
            compared as far as the generation is long.
    """
    languages = [samples[p.sample].language for p in probes]
    probe_of = np.fromiter((w.probe for w in written), np.int64, len(written))
    sample_of = np.fromiter((p.sample for p in probes), np.int64, len(probes))[probe_of]
    generations = lex([w.text for w in written], [languages[w.probe] for w in written], MOST_LEXEMES)
    records = lex([s.answer for s in samples], [s.language for s in samples])
    prompts = lex([p.prompt for p in probes], languages)
    wanted = lex([p.wanted for p in probes], languages)
    runs = _runs(generations, records, prompts, sample_of, probe_of, renamed=False)
    renamed = _runs(generations, records, prompts, sample_of, probe_of, renamed=True)
    lines = _lines(generations, records, prompts, sample_of, probe_of)
    bleu, jaccard, edit = _similarity(generations, wanted, probe_of, cut=new == 0)
    matched, exact = _exact(probes, written, generations, wanted, probe_of, new)
    strata = strata_of([p.wanted for p in probes], [samples[p.sample].path for p in probes], wanted.lexed)
    own = [samples[k] for k in sample_of.tolist()]
    columns: dict[str, Any] = {
        "model": [w.model for w in written], "kind": [probes[w.probe].kind for w in written],
        "how": [w.how for w in written], "draw": [w.draw for w in written], "sample": sample_of,
        "set": [s.kind for s in own], "sample_id": [s.sample_id for s in own], "file": [s.file for s in own],
        "row": [s.row for s in own], "stratum": [STRATA[k] for k in strata[probe_of].tolist()],
        "copies": [s.copies for s in own], "licence": [s.licence for s in own],
        "lexemes": np.diff(generations.lexed.text_ends), "wanted_lexemes": np.diff(wanted.lexed.text_ends)[probe_of],
        "matched": matched, "run": runs[:, 0], "run_characters": runs[:, 3],
        **{f"covered{k}": runs[:, 4 + i] for i, k in enumerate(LEAST)},
        **{f"em{s}": exact[s] for s in SUFFIXES},
        "renamed_run": renamed[:, 0], "lines": lines[:, 0], "lines_found": lines[:, 1], "line_run": lines[:, 2],
        "bleu": bleu, "jaccard5": jaccard, "edit_similarity": edit,
        "log_p": [None if w.log_p != w.log_p else w.log_p for w in written],
    }  # fmt: skip
    return pa.table([pa.array(columns[f.name], f.type) for f in MEASURED], schema=MEASURED)


def lex(texts: Sequence[str], languages: Sequence[str], most: int = 0) -> _Texts:
    """Lex *texts* together; of each the first MiB, and with *most* the first so many lexemes."""
    parts = [text.encode("utf-8", "replace")[:MOST_BYTES] for text in texts]
    data = np.frombuffer(b"".join(parts), np.uint8)
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    known = [name if name else "" for name in languages]
    spoken = language_ids(known, None, data, offsets) if texts else np.empty(0, np.uint8)
    lexed = lex_texts(data, offsets, spoken)
    cut = 0
    if most and (np.diff(lexed.text_ends) > most).any():
        lexed, cut = _shortened(lexed, most)
    text_of = np.repeat(np.arange(len(parts)), np.diff(lexed.text_ends))
    before = np.concatenate([[0], np.cumsum((data & 0xC0) != 0x80)])
    starts, ends = lexed.starts.astype(np.int64), lexed.ends.astype(np.int64)
    size = before[ends] - before[starts]
    gap = np.zeros(size.size, np.int64)
    gap[1:] = (starts[1:] > ends[:-1]) & (text_of[1:] == text_of[:-1])
    reach = np.cumsum(size + gap)
    newlines = np.flatnonzero(data == 10)
    line_of = np.searchsorted(newlines, starts) + text_of  # a text starts a line of its own
    lines = np.empty((max(starts.size, 1), 4), np.int64)
    used = hash_lines(lexed.verbatim, line_of, before[starts], before[ends], lines, text_of)
    lines = np.ascontiguousarray(lines[:used])
    line_ends = np.searchsorted(lines[:, 3], np.arange(len(parts) + 1)).astype(np.int64)
    kept = lexed.renamed != 0
    renamed_ends = np.concatenate([[0], np.cumsum(kept)])[lexed.text_ends].astype(np.int64)
    return _Texts(
        lexed, (reach - size).astype(np.int64), reach.astype(np.int64), lines, line_ends, lexed.renamed[kept],
        renamed_ends, cut,
    )  # fmt: skip


def _shortened(lexed: Lexemes, most: int) -> tuple[Lexemes, int]:
    sizes = np.diff(lexed.text_ends)
    place = np.arange(lexed.verbatim.size) - np.repeat(lexed.text_ends[:-1], sizes)
    kept = place < most
    ends = np.concatenate([[0], np.cumsum(np.minimum(sizes, most))]).astype(np.int64)
    shortened = Lexemes(
        lexed.verbatim[kept], lexed.renamed[kept], lexed.starts[kept], lexed.ends[kept], lexed.kinds[kept], ends
    )
    return shortened, int((sizes > most).sum())


def _runs(
    generations: _Texts, records: _Texts, prompts: _Texts, sample_of: Any, probe_of: Any, *, renamed: bool
) -> NDArray[np.int64]:
    least = np.array([RENAMED] if renamed else LEAST, np.int64)
    out = np.zeros((probe_of.size, 4 + least.size), np.int64)

    def view(texts: _Texts) -> tuple[Any, Any]:
        if renamed:
            return texts.renamed, texts.renamed_ends
        return texts.lexed.verbatim, texts.lexed.text_ends

    own, ends = view(generations)
    starts, stops = (generations.starts, generations.ends) if not renamed else (np.arange(own.size),) * 2
    own_runs(own, ends, sample_of, *view(records), probe_of, *view(prompts), starts, stops, least, out)
    return out


def _lines(generations: _Texts, records: _Texts, prompts: _Texts, sample_of: Any, probe_of: Any) -> NDArray[np.int64]:
    lines = generations.lines
    # how many records have a line: what many of them have is nobody's own
    pairs = np.unique(np.ascontiguousarray(records.lines[:, [0, 3]]), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    df = np.zeros(len(lines), np.int64)
    if names.size:
        at = np.minimum(np.searchsorted(names, lines[:, 0]), names.size - 1)
        df = np.where(names[at] == lines[:, 0], counts[at], 0)
    telling = (lines[:, 1] >= LINE_LEXEMES) & (lines[:, 2] >= LINE_CHARACTERS) & (df <= LINE_SAMPLES)
    out = np.zeros((probe_of.size, 3), np.int64)

    def hashes(texts: _Texts) -> Any:
        return np.ascontiguousarray(texts.lines[:, 0])

    own_lines(
        hashes(generations), generations.line_ends, telling.astype(np.int64), sample_of, hashes(records),
        records.line_ends, probe_of, hashes(prompts), prompts.line_ends, out,
    )  # fmt: skip
    return out


def _similarity(
    generations: _Texts, wanted: _Texts, probe_of: NDArray[np.int64], *, cut: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """BLEU-4, Jaccard of 5-grams and edit similarity with what the answer goes on with."""
    begin, sizes = wanted.lexed.text_ends[probe_of], np.diff(wanted.lexed.text_ends)[probe_of]
    own = np.diff(generations.lexed.text_ends)
    if cut:
        sizes = np.minimum(sizes, own)
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.arange(int(ends[-1])) + np.repeat(begin - ends[:-1], sizes)
    out = np.zeros((probe_of.size, 6))
    similar(generations.lexed.verbatim, generations.lexed.text_ends, wanted.lexed.verbatim[places], ends, out)
    return bleu_of(out[:, :4], own, sizes), out[:, 4], out[:, 5]


def bleu_of(matches: NDArray[np.float64], own: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return BLEU-4 from the matching 1- to 4-grams, shape (n, 4), and both lengths; see `matching.bleu4`."""
    log_size = np.log(np.maximum(own, 2))
    missing, logs = np.zeros(own.size), np.zeros(own.size)
    for n in range(4):
        total = np.maximum(own - n, 1)
        none = matches[:, n] == 0
        missing += none
        precision = np.where(none, log_size / (2**missing * 5), matches[:, n]) / total
        logs += np.log(precision) / 4
    brevity = np.minimum(0.0, 1 - wanted / np.maximum(own, 1))
    return np.where((matches[:, 0] == 0) | (own < 2) | (wanted == 0), 0.0, np.exp(logs + brevity))


def _exact(
    probes: Sequence[Probe], written: Sequence[Written], generations: _Texts, wanted: _Texts, probe_of: Any, new: int
) -> tuple[list[int], dict[int, list[bool | None]]]:
    """How much of the beginning is right, in tokens, or in lexemes where a generation has no tokens."""
    matched: list[int] = []
    exact: dict[int, list[bool | None]] = {s: [] for s in SUFFIXES}
    own, other = generations.lexed, wanted.lexed
    for k, item in enumerate(written):
        probe = probes[item.probe]
        if item.ids is not None:
            a, b = np.array(item.ids, np.int64), np.array(probe.wanted_ids, np.int64)
        else:
            p = int(probe_of[k])
            a = own.verbatim[own.text_ends[k] : own.text_ends[k + 1]].view(np.int64)
            b = other.verbatim[other.text_ends[p] : other.text_ends[p + 1]].view(np.int64)
        size = min(a.size, b.size)
        different = np.flatnonzero(a[:size] != b[:size])
        matched.append(int(different[0]) if different.size else size)
        for s in SUFFIXES:
            possible = b.size >= s and (item.ids is None or new >= s)
            exact[s].append(matched[-1] >= s if possible else None)
    return matched, exact
