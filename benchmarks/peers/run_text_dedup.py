"""JSONL -> groups by the MinHash program of text-dedup, with its own shingles and defaults but for the threshold."""

from __future__ import annotations

import os
import pickle
import sys

from common import arguments, write


def main() -> None:
    options = arguments()
    os.environ |= {"HF_HOME": str(options.work / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    with options.source.open("rb") as lines:
        count = sum(1 for _ in lines)
    from text_dedup import minhash

    out = options.work / "out"
    settings = {
        "path": "json", "data_files": options.source, "split": "train", "column": "text", "output": out,
        "cache_dir": options.work / "cache", "threshold": options.threshold, "num_proc": options.processes,
    }  # fmt: skip
    sys.argv = ["minhash", *(part for k, v in settings.items() for part in (f"--{k}", str(v))), "--debug"]
    minhash.main(standalone_mode=False)
    with (out / "uf.pkl").open("rb") as file:  # of its own making, a moment ago
        union = pickle.load(file)  # noqa: S301
    kept = [union.find(n) if n in union.parent else n for n in range(count)]
    permutations = minhash.main.params
    default = next(p.default for p in permutations if p.name == "num_perm")
    bands, rows = minhash.optimal_param(options.threshold, default, 0.5, 0.5)
    write(options.out, kept, f"{default} permutations, {bands} x {rows}; its own 5 words, lower case, without signs")


if __name__ == "__main__":
    main()
