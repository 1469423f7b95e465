"""the standard library's code -> a tiny causal language model, to try the whole loop on a CPU.

Byte-level BPE of 1,024 tokens, Llama architecture, two layers of width 128: about half a million parameters. It writes
no useful code. It is a real model all the same: it learns, a LoRA adapter on it memorises, and what it memorised comes
back, so that a test of training, audit and release measures what happens and not a mock. Same seed, same machine, same
bytes.
"""

from __future__ import annotations

import sysconfig
import zlib
from pathlib import Path
from typing import Any

from governance.train.folder import check_new, new_folder

VOCABULARY = 1024
WIDTH, LAYERS, HEADS = 128, 2, 4
CONTEXT = 1024  # positions
BLOCK, BATCH, STEPS = 256, 8, 160
RATE = 3e-3
MOST_OF_ONE = 40_000  # characters of a module, so that no large one is most of what is learned
END, PAD = "<|end|>", "<|pad|>"


def make_tiny_model(out: Path, *, seed: int = 0, steps: int = STEPS, megabytes: float = 1.5) -> None:
    """
    Train the tiny model on about *megabytes* of the running Python's standard library; write it to the folder *out*.

    Args:
        out: made; must be empty. Gets config.json, model.safetensors and the tokenizer's files.
        steps: optimiser steps of 8 x 256 tokens; 160 take about 20 s on two cores.

    Raises:
        UsageError: *out* is not empty.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from governance.train.load import silent

    check_new(out)
    texts = _texts(int(megabytes * 1e6))
    tokenizer = _tokenizer(texts)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=CONTEXT,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    _fit(model, tokenizer, texts, steps, torch.Generator().manual_seed(seed))
    with new_folder(out) as folder, silent():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _texts(most: int) -> list[str]:
    """Modules of the standard library, spread over it by a checksum of their paths, about *most* bytes in all."""
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "__pycache__"}
    files = [p.relative_to(root) for p in root.rglob("*.py")]
    ours = [p for p in files if not skipped & set(p.parts)]
    texts: list[str] = []
    for path in sorted(ours, key=lambda p: (zlib.crc32(p.as_posix().encode()), p)):
        if sum(map(len, texts)) >= most:
            break
        texts.append((root / path).read_text("utf-8", errors="ignore")[:MOST_OF_ONE])
    return texts


def _tokenizer(texts: list[str]) -> Any:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(texts, vocab_size=VOCABULARY, special_tokens=[END, PAD], show_progress=False)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=trained._tokenizer, eos_token=END, pad_token=PAD, model_max_length=CONTEXT
    )


def _fit(model: Any, tokenizer: Any, texts: list[str], steps: int, generator: Any) -> None:
    """Next-token training with AdamW and a cosine schedule, on random blocks of the joined texts."""
    import torch

    coded = tokenizer(texts, verbose=False)["input_ids"]
    ids = torch.tensor([i for one in coded for i in [*one, tokenizer.eos_token_id]])
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=max(steps, 1), pct_start=0.1)
    model.train()
    for _ in range(steps):
        starts = torch.randint(0, ids.numel() - BLOCK - 1, (BATCH,), generator=generator)
        batch = torch.stack([ids[s : s + BLOCK] for s in starts])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    model.eval()
