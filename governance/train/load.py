"""a base model that was looked at -> model and tokenizer in memory; no pickle, no code of its own, no network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from governance.errors import UsageError

if TYPE_CHECKING:
    from governance.train.base import BaseModel

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def load_base(base: BaseModel, precision: str = "float32") -> tuple[Any, Any]:
    """
    Return (model, tokenizer) of *base*, the model on the CPU and in evaluation mode.

    Raises:
        UsageError: a file cannot be read, weights are missing or of another architecture, or the tokenizer has more
            tokens than the model.
    """
    tokenizer = load_tokenizer(base)
    how: Any = {"dtype": PRECISIONS[precision], "use_safetensors": True, "output_loading_info": True}
    with Loading(base):
        loaded: Any = AutoModelForCausalLM.from_pretrained(base.path, **how, **LOCAL)
    model, found = loaded
    absent = sorted(found["missing_keys"])
    if absent:
        raise UsageError(
            f"{base.path}: the weights lack {absent[0]} ({len(absent)} tensors) of a {base.family} model; "
            "config.json and the weights do not belong together"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UsageError(
            f"{base.path}: the tokenizer has {len(tokenizer)} tokens, the model {rows}; they do not belong together"
        )
    return model.eval(), tokenizer


def load_tokenizer(base: BaseModel) -> Any:
    """Return the tokenizer of *base*. Raises UsageError."""
    with Loading(base):
        return AutoTokenizer.from_pretrained(base.path, **LOCAL)


@contextmanager
def silent() -> Iterator[None]:
    """Let the libraries say nothing and draw no bars: what a user has to know, we say."""
    from transformers.utils import logging

    said: Any = logging
    before = said.get_verbosity()
    said.set_verbosity_error()
    said.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        said.set_verbosity(before)


class Loading:
    """
    Turns what the libraries raise over a folder that they cannot use into one line.

    The tokenizers library raises `Exception` itself, no class of its own, for a file that it cannot read; everything
    else that is not in the list is a bug and passes.
    """

    EXPECTED = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError, SafetensorError)

    def __init__(self, base: BaseModel) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._silence = silent()
        self._silence.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._silence.__exit__(None, None, None)
        if kind is not None and (kind is Exception or issubclass(kind, self.EXPECTED)):
            raise UsageError(
                f"{self._base.path}: cannot be loaded as a {self._base.family} model ({kind.__name__}); "
                "its files do not fit each other or this version of transformers; fetch the model again"
            ) from None
