"""a sample, a template -> what the model is shown and what it has to learn, as pieces of text.

Two templates. *alpaca*: the words that Stanford Alpaca and the origin of this project trained with. *chat*: the
tokenizer's own chat template. The one that was used is stored with the adapter, so that whoever asks the adapter later
asks in the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jinja2 import TemplateError

from governance.errors import UsageError
from governance.samples import Text

Template = Literal["alpaca", "chat"]

ALPACA_HEAD = "Below is an instruction that describes a task"
WITH_INPUT = (
    ALPACA_HEAD + ", paired with an input that provides further context. Write a response that appropriately completes"
    " the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
WITHOUT_INPUT = (
    ALPACA_HEAD + ". Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}"
    "\n\n### Response:\n"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a conversation; *learned* is True for what the model has to write."""

    text: str
    learned: bool


def pieces_of(texts: Sequence[Text], template: Template, tokenizer: Any = None) -> list[Piece]:
    """
    Return the conversation of a sample in order, ending with an answer.

    Args:
        texts: of one sample, as `samples.iter_texts` gives them.
        tokenizer: of the base model, for *chat*.

    Raises:
        UsageError: the tokenizer has no chat template, or one that changes what an earlier turn looked like.

    >>> texts = [Text("instruction", "instruction", "Add."), Text("output", "output", "1 + 1")]
    >>> [p.text[-13:] for p in pieces_of(texts, "alpaca")]
    ['## Response:\\n', '1 + 1']
    """
    turns = _turns(texts)
    if template == "chat":
        return _chat(turns, tokenizer)
    return _alpaca(turns)


def prompt_of(texts: Sequence[Text], template: Template, tokenizer: Any = None) -> str:
    """Return what stands before the last answer: what the tuned model is asked."""
    pieces = pieces_of(texts, template, tokenizer)
    return "".join(p.text for p in pieces[:-1])


def describe_template(template: Template, tokenizer: Any) -> dict[str, str]:
    """Return the template in full, so that whoever asks the adapter later can ask in the same words."""
    if template == "chat":
        return {"name": "chat", "chat_template": str(tokenizer.chat_template)}
    return {"name": "alpaca", "with_input": WITH_INPUT, "without_input": WITHOUT_INPUT}


def _turns(texts: Sequence[Text]) -> list[tuple[str, str]]:
    """Join neighbours of one role: (role, text), where the roles are system, instruction, input, output."""
    turns: list[tuple[str, str]] = []
    for text in texts:
        if not text.text:
            continue
        if turns and turns[-1][0] == text.role:
            turns[-1] = (text.role, f"{turns[-1][1]}\n{text.text}")
        else:
            turns.append((text.role, text.text))
    return turns


def _alpaca(turns: list[tuple[str, str]]) -> list[Piece]:
    pieces: list[Piece] = []
    asked: dict[str, list[str]] = {"instruction": [], "input": []}
    for role, text in turns:
        if role == "output":
            pieces += [Piece(_alpaca_prompt(asked), False), Piece(text, True)]
            asked = {"instruction": [], "input": []}
        else:
            asked["input" if role == "input" else "instruction"].append(text)
    return pieces


def _alpaca_prompt(asked: dict[str, list[str]]) -> str:
    instruction, given = "\n".join(asked["instruction"]), "\n".join(asked["input"])
    if not instruction:  # a question without an instruction is the instruction
        instruction, given = given, ""
    if not instruction:
        return ""
    return (WITH_INPUT if given else WITHOUT_INPUT).format(instruction=instruction, input=given)


def _chat(turns: list[tuple[str, str]], tokenizer: Any) -> list[Piece]:
    if not getattr(tokenizer, "chat_template", None):
        raise UsageError("the tokenizer of the base model has no chat template; set training.template to 'alpaca'")
    messages: list[dict[str, str]] = []
    pieces: list[Piece] = []
    done = ""
    for role, text in turns:
        if role != "output":
            name = "system" if role == "system" else "user"
            if messages and messages[-1]["role"] == name:
                messages[-1]["content"] += f"\n{text}"
            else:
                messages.append({"role": name, "content": text})
            continue
        answered = [*messages, {"role": "assistant", "content": text}]
        try:
            prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            whole = tokenizer.apply_chat_template(answered, tokenize=False)
        except (TemplateError, TypeError) as problem:
            raise UsageError(
                f"the chat template of the base model refuses a conversation ({type(problem).__name__}); "
                "set training.template to 'alpaca'"
            ) from None
        messages = answered
        if not (prompt.startswith(done) and whole.startswith(prompt)):
            raise UsageError(
                "the chat template of the base model rewrites earlier turns, so the answers cannot be told from the "
                "prompts; set training.template to 'alpaca'"
            )
        pieces += [Piece(prompt[len(done) :], False), Piece(whole[len(prompt) :], True)]
        done = whole
    return pieces
