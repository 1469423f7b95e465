"""The flat kernels say of many pairs what `matching` says of one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.audit import matching
from governance.audit.measure import bleu_of
from governance.audit.pairs import hash_lines, own_lines, own_runs, similar

TEXTS = st.lists(st.lists(st.integers(1, 4), max_size=16), min_size=1, max_size=4)
LEAST = np.array([2, 4], np.int64)


def flat(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Texts as one array of lexemes, and where each ends."""
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return np.array([v for t in texts for v in t], np.uint64), ends


def inside(part: list[int], text: list[int]) -> bool:
    """True if *part* stands in *text*."""
    return any(text[j : j + len(part)] == part for j in range(len(text) - len(part) + 1))


def brute(own: list[int], record: list[int], prompt: list[int]) -> tuple[int, list[int]]:
    """The longest run that the record has and the prompt has not, and the coverage, by trying all."""
    runs = [
        (i, i + k)
        for i in range(len(own))
        for k in range(1, len(own) - i + 1)
        if inside(own[i : i + k], record) and not inside(own[i : i + k], prompt)
    ]
    covered = [len({p for a, b in runs if b - a >= least for p in range(a, b)}) for least in LEAST.tolist()]
    return max((b - a for a, b in runs), default=0), covered


@given(TEXTS, TEXTS, TEXTS, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_own_runs(written: list[list[int]], records: list[list[int]], prompts: list[list[int]], random: object) -> None:
    """A run counts if the record has it and the prompt has not, as brute force over all runs finds."""
    count = len(written)
    record_of = np.array([random.randrange(len(records)) for _ in range(count)], np.int64)  # type: ignore[attr-defined]
    prompt_of = np.array([random.randrange(len(prompts)) for _ in range(count)], np.int64)  # type: ignore[attr-defined]
    values, ends = flat(written)
    places = np.arange(values.size, dtype=np.int64)
    out = np.full((count, 4 + LEAST.size), -1, np.int64)
    own_runs(values, ends, record_of, *flat(records), prompt_of, *flat(prompts), places, places + 1, LEAST, out)
    for g, own in enumerate(written):
        record, prompt = records[record_of[g]], prompts[prompt_of[g]]
        longest, covered = brute(own, record, prompt)
        assert out[g, 0] == longest == out[g, 3]
        assert out[g, 4:].tolist() == covered
        at, there = out[g, 1], out[g, 2]
        assert own[at : at + longest] == record[there : there + longest]


@given(TEXTS, TEXTS)
@settings(max_examples=150, deadline=None)
def test_similar(written: list[list[int]], others: list[list[int]]) -> None:
    """BLEU, edit similarity and Jaccard of many pairs are those of each."""
    wanted = [others[k % len(others)] for k in range(len(written))]
    out = np.zeros((len(written), 6))
    similar(*flat(written), *flat(wanted), out)
    sizes = [np.array([len(t) for t in texts], np.int64) for texts in (written, wanted)]
    bleu = bleu_of(out[:, :4], *sizes)
    for g, (a, b) in enumerate(zip(written, wanted, strict=True)):
        one, other = np.array(a, np.int64), np.array(b, np.int64)
        assert abs(bleu[g] - matching.bleu4(one, other)) < 1e-12
        assert out[g, 5] == matching.edit_similarity(one, other)
        grams = [{tuple(t[i : i + 5]) for i in range(len(t) - 4)} for t in (a, b)]
        jaccard = len(grams[0] & grams[1]) / len(grams[0] | grams[1]) if all(grams) else 0.0
        assert out[g, 4] == jaccard


def test_lines() -> None:
    """Equal lines have equal hashes in any text; a copied line that the prompt shows is not counted."""
    lexemes, _ = flat([[1, 2, 3, 9, 1, 2, 3]])
    line_of = np.array([0, 0, 0, 1, 2, 2, 2], np.int64)
    starts = np.arange(7, dtype=np.int64) * 2
    out = np.zeros((7, 4), np.int64)
    assert hash_lines(lexemes, line_of, starts, starts + 1, out, np.zeros(7, np.int64)) == 3
    assert out[0, 0] == out[2, 0] != out[1, 0]
    assert out[:3, 1].tolist() == [3, 1, 3] and out[:3, 2].tolist() == [5, 1, 5]

    found = np.zeros((1, 3), np.int64)
    own = np.array([5, 6, 0, 7, 8], np.int64)  # line 0 says nothing, 8 stands in the prompt
    telling, zero = np.array([1, 1, 0, 1, 1], np.int64), np.zeros(1, np.int64)
    record, prompt = np.array([5, 6, 7, 8], np.int64), np.array([8], np.int64)

    def ends(values: np.ndarray) -> np.ndarray:
        return np.array([0, values.size], np.int64)

    own_lines(own, ends(own), telling, zero, record, ends(record), zero, prompt, ends(prompt), found)
    assert found.tolist() == [[4, 3, 3]]
