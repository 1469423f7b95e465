"""One process of a training over two: `two_ranks.py WORKSPACE FILE BASE OUT`, with its rank in the environment."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from governance.errors import GovernanceError
from governance.store import Workspace
from governance.train.callback import DataGateCallback, GatedRows
from governance.train.door import open_gated


def main(workspace: str, file: str, base: str, out: str) -> int:
    """Train two steps; 0 if they were made, 7 with the reason on stdout where the gate stopped them."""
    torch.set_num_threads(1)
    data = open_gated(file, Workspace(Path(workspace), make=False))
    rows, _ = GatedRows.of(data, AutoTokenizer.from_pretrained(base))
    args = TrainingArguments(
        output_dir=out, use_cpu=True, report_to=[], max_steps=2, save_steps=1, per_device_train_batch_size=1,
        disable_tqdm=True, remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    try:
        gate = DataGateCallback(data)
        Trainer(AutoModelForCausalLM.from_pretrained(base), args, train_dataset=rows, callbacks=[gate]).train()
    except GovernanceError as problem:
        print(problem, flush=True)
        return 7
    print(f"consumed {gate.consumed} checks {gate.checks}", flush=True)
    return 0


if __name__ == "__main__":
    ended = main(*sys.argv[1:])
    sys.stdout.flush()
    import os

    os._exit(ended)  # the other process may be gone, and nobody has to wait for it
