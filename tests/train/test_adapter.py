"""The adapter folder: what stands in it, that it can be loaded and checked, and that it says what it is not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from governance.errors import UsageError
from governance.files import sha256_file
from governance.settings import Training
from governance.train.adapter import EmptyAdapter, read_adapter, restate_adapter, write_adapter
from governance.train.base import BaseModel, look_at_base
from governance.train.card import loss_plot, write_card
from governance.train.door import GatedDataset, describe, open_gated
from governance.train.load import load_base
from governance.train.lora import Trained, prepare_lora, train_lora

SETTINGS = Training(cutoff=320, batch=4, rank=4, learning_rate=5e-3, log_steps=1, train_whole=["embed_tokens"])
FILES = {"adapter_model.safetensors", "adapter_config.json", "adapter.json", "README.md", "loss.svg"}


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> BaseModel:
    """The tiny model."""
    return look_at_base(tiny_model)


@pytest.fixture(scope="module")
def opened(checked_once: Path) -> GatedDataset:
    """The control, opened through the door; nothing here writes into its workspace."""
    from governance.store import Workspace

    return open_gated(checked_once / "data.jsonl", Workspace(checked_once / "ws"))


@pytest.fixture(scope="module")
def trained(opened: GatedDataset, base: BaseModel) -> Trained:
    """An adapter of three steps, with the embedding trained whole."""
    return train_lora(prepare_lora(opened, base, SETTINGS))


@pytest.fixture
def adapter(trained: Trained, opened: GatedDataset, base: BaseModel, tmp_path: Path) -> Path:
    """Its folder."""
    write_adapter(trained, opened, base, tmp_path / "adapter")
    return tmp_path / "adapter"


def test_the_folder_holds_no_pickle(adapter: Path) -> None:
    """Tensors, configuration, record, card and plot, every file with its digest in the record; nothing else."""
    assert {p.name for p in adapter.iterdir()} == FILES and [p.name for p in adapter.parent.glob(".adapter*")] == []
    record = json.loads((adapter / "adapter.json").read_bytes())
    assert record["files"] == {n: sha256_file(adapter / n) for n in FILES - {"adapter.json"}}
    assert all((adapter / n).read_bytes()[:2] != b"\x80\x04" and not n.endswith((".bin", ".pt")) for n in FILES)


def test_the_record_says_what_was_trained(
    adapter: Path, opened: GatedDataset, base: BaseModel, trained: Trained
) -> None:
    """Base, data, consumed digest, settings, template, truncation, losses and versions are those of this training."""
    record = read_adapter(adapter)
    assert record["format"] == "governance-adapter/1" and record["status"] == "unreleased: not audited"
    assert record["base"] == {"name": base.name, "family": "llama", "digest": base.digest, "vocabulary": 1024}
    assert record["data"] == describe(opened)
    assert record["consumed"]["dataset"] == opened.digest and record["consumed"]["checks"] >= 3
    assert record["consumed"]["rows"] == record["consumed"]["rows_read"] == len(opened)
    assert Training(**record["training"]) == SETTINGS and record["pipeline"] == "default"
    assert "### Instruction:" in record["template"]["with_input"]
    assert record["losses"] == [list(pair) for pair in trained.losses] and record["steps"] == 3
    assert record["truncation"]["samples"] == len(opened) and 0 < record["truncation"]["share_lost"] < 1
    assert record["versions"]["torch"] == torch.__version__ and record["versions"]["peft"]


def test_another_digest_than_the_approved_one_is_unsigned(
    trained: Trained, opened: GatedDataset, base: BaseModel, tmp_path: Path
) -> None:
    """An adapter whose consumed digest is not the approved one says so in record and card."""
    import dataclasses

    for k, consumed in enumerate((None, "f" * 64)):
        out = tmp_path / str(k)
        record = write_adapter(dataclasses.replace(trained, consumed=consumed), opened, base, out)
        assert record["status"] == "unsigned: consumed digest is not the approved one"
        assert record["status"] in (out / "README.md").read_text()


def test_peft_loads_it(adapter: Path, base: BaseModel, trained: Trained) -> None:
    """What is loaded from the folder onto a fresh base computes what was trained, the whole embedding included."""
    from peft import PeftModel

    from governance.train.load import silent

    model, _ = load_base(base)
    ids = torch.arange(40)[None]
    plain = model(input_ids=ids).logits
    with silent(), torch.inference_mode():
        loaded = PeftModel.from_pretrained(model, adapter).eval()
        ours, theirs = trained.model(input_ids=ids).logits, loaded(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs)
    assert not torch.equal(plain, theirs)
    assert loaded.peft_config["default"].base_model_name_or_path == base.name


def test_no_path_of_this_machine_is_written(adapter: Path, tiny_model: Path) -> None:
    """Nothing in the folder says where the base or the adapter lay."""
    for name in FILES:
        data = (adapter / name).read_bytes()
        assert str(tiny_model.parent).encode() not in data and str(adapter.parent).encode() not in data, name


def test_the_card_is_written_from_the_record(adapter: Path) -> None:
    """The card has the figures of this training, names its base for the hub, and no placeholder."""
    card, record = (adapter / "README.md").read_text("utf-8"), read_adapter(adapter)
    assert re.search(r"[Mm]ore [Ii]nformation|TODO|\{\w+\}|None", card) is None
    for figure in (
        record["base"]["digest"], record["data"]["dataset"], record["data"]["run"], f"{record['losses'][-1][1]:.3f}",
        "| rank | 4 |", "| train whole | embed\\_tokens |", record["status"],
    ):  # fmt: skip
        assert figure in card
    head = card.split("---")[1]
    import yaml

    assert yaml.safe_load(head) == {"library_name": "peft", "base_model": record["base"]["name"], "tags": ["lora"]}


def test_names_from_others_are_text_in_the_card(adapter: Path) -> None:
    """A base whose name holds Markdown, HTML or YAML is shown as it is called and changes nothing else."""
    record = read_adapter(adapter)
    record["base"]["name"] = 'x"]: y\n---\n| <script> | ![a](http://b)'
    head, _, body = write_card(record).partition("\n---\n")
    assert re.search(r"(?<!\\)(<|\[a)", body.partition("```")[0]) is None and "\\<script\\>" in body
    import yaml

    assert yaml.safe_load(head.removeprefix("---\n"))["tags"] == ["lora"]


@pytest.mark.parametrize("losses", [[], [[1, 5.0]], [[1, 0.0], [2, 0.0]], [[1, 5.75], [10, 1.5], [300, 0.01]]], ids=len)
def test_the_plot_is_whole_svg(losses: list[list[float]]) -> None:
    """The curve is well-formed, stays within its frame, and says its first and last loss."""
    drawn = ElementTree.fromstring(loss_plot(losses))  # noqa: S314  # our own
    wide, tall = map(float, drawn.attrib["viewBox"].split()[2:])
    [curve] = [e for e in drawn.iter() if e.tag.endswith("polyline")]
    points = [tuple(map(float, p.split(","))) for p in curve.attrib["points"].split()]
    assert len(points) == len(losses) and all(0 <= x <= wide and 0 <= y <= tall for x, y in points)
    if losses:
        assert f"{losses[-1][1]:.3f} at step {losses[-1][0]}" in loss_plot(losses)


@pytest.mark.parametrize("what", ["changed", "removed", "record", "other record", "no record"])
def test_an_adapter_that_was_touched_is_not_read(adapter: Path, what: str) -> None:
    """A file that changed or went, or a record that is not ours, is one clear line."""
    match what:
        case "changed":
            with (adapter / "adapter_model.safetensors").open("r+b") as file:
                file.seek(-4, 2)
                file.write(b"\1\2\3\4")
        case "removed":
            (adapter / "adapter_config.json").unlink()
        case "record":
            (adapter / "adapter.json").write_text("{")
        case "other record":
            (adapter / "adapter.json").write_text('{"format": "other/1", "files": {}}')
        case "no record":
            (adapter / "adapter.json").unlink()
    with pytest.raises(UsageError) as refused:
        read_adapter(adapter)
    assert str(adapter) in str(refused.value) and "\n" not in str(refused.value)


def test_a_status_is_stated_again(adapter: Path) -> None:
    """An audit's outcome gets into record and card; every other file stays and the digests still hold."""
    before = read_adapter(adapter)
    restate_adapter(adapter, "withheld: 12 of 100 members came back")
    after = read_adapter(adapter)
    assert (
        after["status"] in (adapter / "README.md").read_text()
        and before["status"] not in (adapter / "README.md").read_text()
    )
    assert {k: v for k, v in after["files"].items() if k != "README.md"} == {
        k: v for k, v in before["files"].items() if k != "README.md"
    }


@pytest.mark.parametrize(("value", "said"), [(0.0, "all zero"), (float("nan"), "not finite")], ids=["empty", "NaN"])
def test_an_adapter_with_nothing_in_it_is_not_written(
    opened: GatedDataset, base: BaseModel, tmp_path: Path, value: float, said: str
) -> None:
    """One B matrix of zeros, or one number that is none, and there is no adapter; no folder is left."""
    trained = train_lora(prepare_lora(opened, base, SETTINGS.model_copy(update={"epochs": 0.3, "train_whole": []})))
    [matrix, *_] = [p for name, p in trained.model.named_parameters() if "lora_B" in name]
    with torch.no_grad():
        matrix.fill_(value)
    with pytest.raises(EmptyAdapter, match=said):
        write_adapter(trained, opened, base, tmp_path / "adapter")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_replaced(
    adapter: Path, trained: Trained, opened: GatedDataset, base: BaseModel, tmp_path: Path
) -> None:
    """An adapter that is there stays as it is; an empty folder is filled."""
    before = {p.name: sha256_file(p) for p in adapter.iterdir()}
    with pytest.raises(UsageError, match="not empty"):
        write_adapter(trained, opened, base, adapter)
    assert {p.name: sha256_file(p) for p in adapter.iterdir()} == before
    (tmp_path / "empty").mkdir()
    write_adapter(trained, opened, base, tmp_path / "empty")
    assert {p.name for p in (tmp_path / "empty").iterdir()} == FILES
    shutil.rmtree(tmp_path / "empty")
