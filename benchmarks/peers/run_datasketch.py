"""JSONL -> groups by datasketch: MinHash of 128 permutations, MinHashLSH at the threshold, candidates joined."""

from __future__ import annotations

from collections.abc import Iterator

from common import arguments, joined, read_texts, shingles, write
from datasketch import MinHash, MinHashLSH

PERMUTATIONS = 128


def pairs(texts: list[str], lsh: MinHashLSH) -> Iterator[tuple[int, int]]:
    """Yield every row with each earlier one that the index names for it."""
    seed = MinHash(num_perm=PERMUTATIONS)
    for n, text in enumerate(texts):
        found = shingles(text)
        if not found:  # an empty sketch equals every other empty one
            continue
        sketch = seed.copy()
        sketch.update_batch([s.encode() for s in found])
        yield from ((n, other) for other in lsh.query(sketch))
        lsh.insert(n, sketch, check_duplication=False)


def main() -> None:
    options = arguments()
    texts = read_texts(options.source)
    lsh = MinHashLSH(threshold=options.threshold, num_perm=PERMUTATIONS)
    kept = joined(len(texts), pairs(texts, lsh))
    write(options.out, kept, f"{PERMUTATIONS} permutations, {lsh.b} x {lsh.r}; 5 tokens (words and signs)")


if __name__ == "__main__":
    main()
