"""The two templates: the words that a sample is asked in, and where its answers stand."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from governance.errors import UsageError
from governance.samples import Text
from governance.train.prompts import WITH_INPUT, WITHOUT_INPUT, describe_template, pieces_of, prompt_of

QUESTION = Text("instruction", "instruction", "Write a loop.")
GIVEN = Text("input", "input", "for Java")
ANSWER = Text("output", "output", "for (;;) {}")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def chat() -> Any:
    """A tokenizer with a chat template."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    found: Any = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE()))
    found.chat_template = CHATML
    return found


def test_alpaca() -> None:
    """The prompt is the template filled with instruction and input, the answer follows and alone is learned."""
    with_input = pieces_of([QUESTION, GIVEN, ANSWER], "alpaca")
    assert [p.learned for p in with_input] == [False, True]
    assert with_input[0].text == WITH_INPUT.format(instruction=QUESTION.text, input=GIVEN.text)
    assert with_input[1].text == ANSWER.text
    assert prompt_of([QUESTION, ANSWER], "alpaca") == WITHOUT_INPUT.format(instruction=QUESTION.text)


def test_braces_in_a_sample_are_text() -> None:
    """Code full of braces is not taken for a place to fill in."""
    code = Text("input", "input", "class A { {instruction} {0} }")
    assert code.text in prompt_of([QUESTION, code, ANSWER], "alpaca")


def test_a_question_without_instruction_is_the_instruction() -> None:
    """A sample that has only an input is asked in the words of the template without one."""
    assert prompt_of([GIVEN, ANSWER], "alpaca") == WITHOUT_INPUT.format(instruction=GIVEN.text)


@pytest.mark.parametrize("template", ["alpaca", "chat"])
def test_turns(template: Any, chat: Any) -> None:
    """Every answer of a conversation is learned; what follows the last one is dropped."""
    turns = [QUESTION, ANSWER, Text("messages/2/content", "instruction", "Again."), ANSWER, GIVEN]
    pieces = pieces_of(turns, template, chat)
    assert [p.learned for p in pieces] == [False, True, False, True]
    assert all(ANSWER.text in p.text for p in pieces if p.learned) and "Again." in pieces[2].text


def test_chat(chat: Any) -> None:
    """With a chat template the pieces are what the template writes, cut where each answer begins."""
    pieces = pieces_of([Text("system", "system", "Be brief."), QUESTION, ANSWER], "chat", chat)
    messages = [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION.text},
        {"role": "assistant", "content": ANSWER.text},
    ]  # fmt: skip
    assert "".join(p.text for p in pieces) == chat.apply_chat_template(messages, tokenize=False)
    assert pieces[0].text.endswith("<|im_start|>assistant\n") and pieces[1].text == f"{ANSWER.text}<|im_end|>\n"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "no chat template"),
        ("{{ raise_exception('System role not supported') }}", "refuses"),
        ("{{ messages[7]['content'] }}", "refuses"),
        ("{{ messages[-1]['content'] }}{{ '>' if add_generation_prompt }}", "rewrites"),
    ],
    ids=["none", "raises", "undefined", "last turn only"],
)
def test_a_chat_template_that_cannot_be_used(chat: Any, template: str | None, said: str) -> None:
    """A template that is missing, refuses the sample, or hides where the answer begins is one clear line."""
    chat.chat_template = template
    with pytest.raises(UsageError, match=said) as refused:
        pieces_of([QUESTION, ANSWER, GIVEN, ANSWER], "chat", chat)
    assert "alpaca" in str(refused.value) and QUESTION.text not in str(refused.value)


def test_the_template_is_described_in_full(chat: Any) -> None:
    """What stands with the adapter is enough to ask it without this project."""
    assert describe_template("alpaca", None) == {
        "name": "alpaca", "with_input": WITH_INPUT, "without_input": WITHOUT_INPUT,
    }  # fmt: skip
    assert describe_template("chat", chat) == {"name": "chat", "chat_template": CHATML}
