"""Ways to an adapter that looks released and was not trained on what was approved; each ends without a signature."""

from __future__ import annotations

import base64
import ctypes
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.errors import GateClosed, GovernanceError, InputError, SignatureError
from governance.files import canonical, read_json, sha256_file
from governance.gate.keys import load_signing_key, load_trust
from governance.gate.signing import DETAILS, sign
from governance.settings import Policy, load_pipeline
from governance.store import Workspace
from governance.train.door import open_gated
from governance.train.release import (
    RELEASED,
    SIGNATURE,
    TRAINING,
    UNSIGNED,
    adapter_digest,
    attest_training,
    sign_adapter,
    verify_adapter,
)
from governance.train.run import train_adapter

Record = dict[str, Any]


def released(adapter: Path) -> dict[str, Any]:
    """What an audit says that found nothing."""
    return {"status": RELEASED, "adapter": adapter_digest(adapter)}


def shut(approved: Any, base: Path, match: str, dataset: Path | str | None = None, **given: Any) -> None:
    """The door does not open, so there is no adapter."""
    out = Path(approved.place.root).parent / "stolen"
    with pytest.raises(GovernanceError, match=match):
        train_adapter(dataset or approved.file, base, out, workspace=approved.place, **given)
    assert not out.exists()


def unsigned(adapter: Path, approved: Any, match: str, **given: Any) -> None:
    """An adapter that was trained before the attack is not signed after it, and its folder says so."""
    with pytest.raises(GovernanceError, match=match):
        sign_adapter(adapter, approved.place, **({"audit": released(adapter)} | given))
    assert not (adapter / SIGNATURE).exists() and "not signed" in (adapter / UNSIGNED).read_text("utf-8")


def resign(run: Path, place: Workspace, change: Callable[[Record], None]) -> None:
    """Let the workspace's own key sign another statement for *run*."""
    envelope = read_json(run / "verdict.dsse.json")
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    (run / "verdict.dsse.json").write_bytes(canonical(sign(statement, load_signing_key(place.root, {}))))


def test_without_an_attack_it_is_signed(approved: Any, adapter: Path) -> None:
    """The adapter that all attacks start from is signed, released, and says consumed."""
    sign_adapter(adapter, approved.place, audit=released(adapter))
    found = verify_adapter(adapter, load_trust(approved.place.root))
    assert (found.status, found.relation, found.dataset) == (RELEASED, "consumed", approved.digest)
    assert not (adapter / UNSIGNED).exists()


def test_file_changed_after_approval(approved: Any, small_base: Path) -> None:
    """One character that changed after the verdict shuts the door."""
    text = approved.file.read_text("utf-8")
    approved.file.write_text(text.replace("orderId", "orderID", 1), "utf-8")
    shut(approved, small_base, "never checked")


def test_verdict_edited(approved: Any, adapter: Path, small_base: Path) -> None:
    """A verdict whose payload was changed is not what was signed."""
    path = approved.run / "verdict.dsse.json"
    envelope = read_json(path)
    payload = base64.b64decode(envelope["payload"]).replace(b'"accepted":0', b'"accepted":1')
    path.write_bytes(canonical(envelope | {"payload": base64.b64encode(payload).decode()}))
    shut(approved, small_base, "does not hold")
    unsigned(adapter, approved, "does not hold")


def test_verdict_expired(check: Callable[..., Any], passing: Path, workspace: Path, small_base: Path) -> None:
    """A verdict of two months ago opens nothing, whatever SOURCE_DATE_EPOCH says now."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    assert check(passing, now=now - dt.timedelta(days=60)).passed
    with pytest.raises(SignatureError, match="expired"):
        train_adapter(passing, small_base, workspace / "stolen", workspace=Workspace(workspace))


def test_verdict_expires_before_signing(approved: Any, adapter: Path) -> None:
    """An adapter whose verdict ran out between training and signing is not signed."""
    past = "2026-01-02T00:00:00Z"
    resign(approved.run, approved.place, lambda s: s["predicate"][DETAILS].update(created=past, expires=past))
    unsigned(adapter, approved, "expired")


def test_signed_by_an_unknown_key(approved: Any, adapter: Path, small_base: Path, tmp_path: Path) -> None:
    """A run that another workspace signed counts nowhere but there, with its public key in the run's folder or not."""
    shutil.rmtree(approved.place.keys)
    load_signing_key(approved.place.root, {})
    shut(approved, small_base, "not trusted")
    unsigned(adapter, approved, "not trusted")
    stranger = Policy(name="bank", trusted_keys=["0" * 64])
    shut(approved, small_base, "not trusted", policy=stranger)


def test_other_pipeline(approved: Any, small_base: Path) -> None:
    """A dataset that passed under one pipeline has not passed under another of the same name."""
    pipeline = load_pipeline("default")
    gates = dict(pipeline.gates)
    gates.pop("licences" if "licences" in gates else next(iter(gates)))
    shut(approved, small_base, "other settings", pipeline=pipeline.model_copy(update={"gates": gates}))


def test_adapter_says_another_pipeline(approved: Any, adapter: Path) -> None:
    """An adapter that was trained under a pipeline which nothing passed under is not signed."""
    record = read_json(adapter / "adapter.json")
    record["data"]["pipeline"] = "0" * 64
    (adapter / "adapter.json").write_bytes(canonical(record))
    (adapter / TRAINING).unlink()
    attest_training(adapter, approved.place)
    unsigned(adapter, approved, "under pipeline")


def test_looser_pipeline_than_the_policy(approved: Any, adapter: Path, small_base: Path) -> None:
    """A verdict that names a policy which its own pipeline does not meet opens nothing, though its signature holds."""
    policy = Policy(name="bank", expires_days=1)
    shut(approved, small_base, "no policy", policy=policy)
    entry = {"name": "policy", "digest": {"sha256": policy.digest()}, "annotations": {"name": "bank"}}
    resign(approved.run, approved.place, lambda s: s["predicate"]["configuration"].append(entry))
    shut(approved, small_base, "may hold 1 days, the pipeline says 30", policy=policy)
    unsigned(adapter, approved, "may hold 1 days", policy=policy)


def test_accepted_findings_that_the_policy_does_not_allow(approved: Any, adapter: Path, small_base: Path) -> None:
    """A verdict that stands on an accepted finding opens nothing under a policy without waivers."""
    policy = Policy(name="bank", allow_waivers=False)

    def accept(statement: Record) -> None:
        entry = {"name": "policy", "digest": {"sha256": policy.digest()}, "annotations": {"name": "bank"}}
        statement["predicate"]["configuration"].append(entry)
        statement["predicate"][DETAILS]["accepted"] = 2

    resign(approved.run, approved.place, accept)
    shut(approved, small_base, "accepts 2 findings", policy=policy)
    unsigned(adapter, approved, "accepts 2 findings", policy=policy)


def test_acceptance_expired(
    check: Callable[..., Any], control: list[Record], write_jsonl: Callable[..., Path], workspace: Path,
    small_base: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """An acceptance that ran out accepts nothing, so the dataset is closed and the door stays shut."""
    dataset = write_jsonl([*control, {**control[0], "input": "empty", "output": ""}])
    findings = check(dataset)
    from governance.evidence import read_table

    found = [r for r in read_table(findings.folder, "findings").to_pylist() if r["severity"] == "error"]
    day = dt.datetime.now(dt.UTC).date()
    entries = [
        {"rule": f["rule"], "fingerprint": f["fingerprint"], "reason": "r", "owner": "o", "approver": "a",
         "created": f"{day - dt.timedelta(days=9)}", "expires": f"{day}"}
        for f in found
    ]  # fmt: skip
    baseline = tmp_path / "baseline.jsonl"
    baseline.write_text("".join(json.dumps(e) + "\n" for e in entries), "utf-8")
    assert found and not check(dataset, baseline=baseline).passed
    with pytest.raises(SignatureError, match="CLOSED"):
        train_adapter(dataset, small_base, tmp_path / "stolen", workspace=Workspace(workspace))


def test_stored_dataset_changed(approved: Any, small_base: Path) -> None:
    """A stored dataset whose Parquet was changed beneath its digest is not read as that digest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = approved.place.datasets / approved.digest / "samples.parquet"
    table = pq.read_table(path)
    texts = table["texts"].to_pylist()
    texts[0][-1]["text"] += " // stolen"
    swapped = table.set_column(table.schema.get_field_index("texts"), table.schema.field("texts"), [pa.array(texts, table.schema.field("texts").type)])  # fmt: skip  # noqa: E501
    pq.write_table(swapped, path)
    shut(approved, small_base, "not those of its digest", dataset=approved.digest)


def test_stale_cache_of_another_name(approved: Any, small_base: Path) -> None:
    """The stored samples of one dataset under the digest of another, as a stale cache would have them, are refused."""
    other = json.loads((approved.other_run / "evidence.json").read_bytes())["dataset"]["digest"]
    shutil.copy(
        approved.place.datasets / other / "samples.parquet",
        approved.place.datasets / approved.digest / "samples.parquet",
    )
    shut(approved, small_base, "not those of its digest", dataset=approved.digest)


def test_symlink_swapped_while_it_is_opened(approved: Any, tmp_path: Path) -> None:
    """However a link flips between two files while it is opened, what is handed over is an approved dataset, whole."""
    evil = tmp_path / "evil.jsonl"
    evil.write_text(approved.file.read_text("utf-8").replace("return", "return/*stolen*/"), "utf-8")
    link, stop = tmp_path / "link.jsonl", threading.Event()
    link.symlink_to(approved.file)

    def flip() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            beside = tmp_path / "flip"
            beside.symlink_to(evil if turn % 2 else approved.file)
            beside.replace(link)

    flipper = threading.Thread(target=flip)
    flipper.start()
    opened = refused = 0
    try:
        for _ in range(24):
            try:
                data = open_gated(link, approved.place)
            except GateClosed:
                refused += 1
                continue
            opened += 1
            assert data.digest == approved.digest
            assert not any("stolen" in text.text for texts in data for text in texts)
    finally:
        stop.set()
        flipper.join()
    assert opened + refused == 24 and refused


def test_file_swapped_after_construction(approved: Any) -> None:
    """What was opened stays what was approved: the file is not read again, and cannot be opened again."""
    data = open_gated(approved.file, approved.place)
    before = list(data)
    approved.file.write_text('{"instruction": "a", "output": "stolen"}\n')
    data.recheck()
    assert list(data) == before
    with pytest.raises(GateClosed):
        open_gated(approved.file, approved.place)


def test_samples_changed_in_memory(approved: Any) -> None:
    """A byte of the opened samples that somebody overwrites in memory is found by the next check."""
    data = open_gated(approved.file, approved.place)
    values = data.samples["texts"].chunk(0).flatten().field("text").buffers()[2]
    ctypes.memset(values.address + 10, ord("X"), 1)
    with pytest.raises(SignatureError, match="in memory changed"):
        data.recheck()


@pytest.mark.parametrize("name", ["evidence.json", "findings.parquet", "extra.txt", "link"])
def test_run_folder_changed(approved: Any, adapter: Path, small_base: Path, name: str) -> None:
    """A file of the run that was changed, added, or became a link makes its verdict worth nothing."""
    path = approved.run / name
    if name == "link":
        (approved.run / "report.html").rename(approved.place.root / "report.html")
        (approved.run / "report.html").symlink_to(approved.place.root / "report.html")
    else:
        path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")
    match = {"extra.txt": "added", "link": "link"}.get(name, "changed")
    shut(approved, small_base, match)
    unsigned(adapter, approved, match)


def test_evidence_of_another_run(approved: Any, small_base: Path) -> None:
    """The evidence of another run in the folder of this one is found, with the manifest mended as well."""
    shutil.copy(approved.other_run / "evidence.json", approved.run / "evidence.json")
    shut(approved, small_base, r"evidence\.json: changed")
    manifest = read_json(approved.run / "manifest.json")
    manifest["files"]["evidence.json"] = sha256_file(approved.run / "evidence.json")
    (approved.run / "manifest.json").write_bytes(canonical(manifest))
    shut(approved, small_base, "not the manifest that was signed")


def test_verdict_of_another_dataset(approved: Any, adapter: Path, small_base: Path) -> None:
    """The verdict of another dataset, copied into the run, speaks of that other dataset alone."""
    shutil.copy(approved.other_run / "verdict.dsse.json", approved.run / "verdict.dsse.json")
    shut(approved, small_base, "about dataset")
    unsigned(adapter, approved, "about dataset")


def test_manifest_edited(approved: Any, adapter: Path, small_base: Path) -> None:
    """Settings changed in the manifest, so that training learns harder than what passed, are not what was signed."""
    manifest = read_json(approved.run / "manifest.json")
    manifest["pipeline"]["settings"]["training"]["epochs"] = 60.0
    (approved.run / "manifest.json").write_bytes(canonical(manifest))
    shut(approved, small_base, "not the manifest that was signed")
    unsigned(adapter, approved, "not the manifest that was signed")


def test_adapter_changed_after_training(approved: Any, adapter: Path) -> None:
    """Weights, record and digests that were changed between training and signing, or after it, are found."""
    weights = adapter / "adapter_model.safetensors"
    old = weights.read_bytes()
    audit = released(adapter)
    weights.write_bytes(old[:-1] + bytes([old[-1] ^ 1]))
    unsigned(adapter, approved, "changed after training", audit=audit)
    record = read_json(adapter / "adapter.json")
    record["files"][weights.name] = sha256_file(weights)
    (adapter / "adapter.json").write_bytes(canonical(record))
    unsigned(adapter, approved, "changed after training")
    (adapter / TRAINING).unlink()
    unsigned(adapter, approved, "nobody says that this training was gated")


def test_signed_adapter_changed(approved: Any, adapter: Path) -> None:
    """An adapter that was changed, or got a file more, after it was signed is not the one that was released."""
    sign_adapter(adapter, approved.place, audit=released(adapter))
    trust = load_trust(approved.place.root)
    (adapter / "pickle.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(SignatureError, match="added"):
        verify_adapter(adapter, trust)
    (adapter / "pickle.bin").unlink()
    card = adapter / "README.md"
    card.write_text(card.read_text("utf-8") + "\nNo limits.\n", "utf-8")
    with pytest.raises(SignatureError, match="changed after the adapter was signed"):
        verify_adapter(adapter, trust)


def test_record_names_another_dataset(approved: Any, adapter: Path) -> None:
    """An adapter's record that names another approved dataset than the one it was trained on is not believed."""
    other = json.loads((approved.other_run / "evidence.json").read_bytes())["dataset"]["digest"]
    record = read_json(adapter / "adapter.json")
    record["data"]["dataset"] = record["consumed"]["dataset"] = other
    (adapter / "adapter.json").write_bytes(canonical(record))
    unsigned(adapter, approved, "changed after training")
    record["data"]["dataset"] = approved.digest  # and by somebody who has the key: consumed is not what was approved
    (adapter / "adapter.json").write_bytes(canonical(record))
    attest_training(adapter, approved.place)
    unsigned(adapter, approved, "training consumed dataset")


def test_audit_of_another_adapter(approved: Any, adapter: Path) -> None:
    """What an audit withheld, and what it never saw, is not signed."""
    unsigned(adapter, approved, "the audit says WITHHELD", audit=released(adapter) | {"status": "WITHHELD"})
    unsigned(adapter, approved, "the audit is about adapter", audit={"status": RELEASED, "adapter": "0" * 64})
    with pytest.raises(SignatureError, match="NOT_AUDITED"):
        sign_adapter(adapter, approved.place, audit=None)
        verify_adapter(adapter, load_trust(approved.place.root), audited=True)


# ---- inside somebody's Trainer ----


def trainer_of(base: Path, rows: Any, callbacks: list[Any], out: Path, **more: Any) -> Any:
    """A Trainer of transformers that makes two steps and saves after each."""
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    args: dict[str, Any] = {"max_steps": 2, "save_steps": 1, "save_strategy": "steps"} | more
    settings = TrainingArguments(
        output_dir=str(out), use_cpu=True, report_to=[], per_device_train_batch_size=1, disable_tqdm=True,
        remove_unused_columns=False, dataloader_pin_memory=False, **args,
    )  # fmt: skip
    return Trainer(AutoModelForCausalLM.from_pretrained(base), settings, train_dataset=rows, callbacks=callbacks)


@pytest.fixture
def gated(approved: Any, small_base: Path) -> tuple[Any, Any]:
    """The approved dataset and its token ids."""
    from transformers import AutoTokenizer

    from governance.train.callback import GatedRows

    data = open_gated(approved.file, approved.place)
    return data, GatedRows.of(data, AutoTokenizer.from_pretrained(small_base), cutoff=1024)[0]


def nothing_to_sign(folder: Path, approved: Any) -> None:
    """What the trainer left is no adapter that could be signed."""
    folder.mkdir(exist_ok=True)
    with pytest.raises(GovernanceError):
        sign_adapter(folder, approved.place, audit=None)
    assert list(folder.rglob(SIGNATURE)) == []


def test_a_trainer_with_its_gate(gated: tuple[Any, Any], small_base: Path, tmp_path: Path) -> None:
    """Left alone a Trainer trains: five checks, every checkpoint marked, the approved digest consumed; it resumes."""
    from governance.train.callback import MARK, DataGateCallback

    data, rows = gated
    gate = DataGateCallback(data)
    trainer_of(small_base, rows, [gate], tmp_path / "out").train()
    assert (gate.consumed, gate.checks) == (data.digest, 5) and rows.read.any()
    assert all((tmp_path / "out" / f"checkpoint-{k}" / MARK).is_file() for k in (1, 2))
    again = DataGateCallback(data)
    trainer_of(small_base, rows, [again], tmp_path / "out", max_steps=3).train(resume_from_checkpoint=True)
    assert again.consumed == data.digest


def test_train_dataset_swapped(gated: tuple[Any, Any], approved: Any, small_base: Path, tmp_path: Path) -> None:
    """A Trainer whose dataset was exchanged after it was made stops before the first step."""
    from governance.train.callback import DataGateCallback

    data, rows = gated
    gate = DataGateCallback(data)
    trainer = trainer_of(small_base, rows, [gate], tmp_path / "out")
    trainer.train_dataset = [rows[0], rows[1]]
    with pytest.raises(SignatureError, match="reads other rows"):
        trainer.train()
    assert gate.consumed is None and trainer.state.global_step == 0
    nothing_to_sign(tmp_path / "out", approved)


def test_callback_removed(
    gated: tuple[Any, Any], approved: Any, adapter: Path, small_base: Path, tmp_path: Path
) -> None:
    """Without its callback a Trainer trains, and what it made is not signed: nobody saw what it read."""
    from governance.train.callback import DataGateCallback

    data, rows = gated
    gate = DataGateCallback(data)
    trainer = trainer_of(small_base, rows, [gate], tmp_path / "out")
    trainer.remove_callback(DataGateCallback)
    trainer.train()
    assert trainer.state.global_step == 2 and gate.consumed is None and gate.checks == 1
    nothing_to_sign(tmp_path / "out", approved)
    record = read_json(adapter / "adapter.json")  # what `governance train` would write of such a training
    record["consumed"] |= {"dataset": gate.consumed, "checks": gate.checks}
    (adapter / "adapter.json").write_bytes(canonical(record))
    attest_training(adapter, approved.place)
    unsigned(adapter, approved, "without the gate's callback")


def test_resumed_from_other_data(gated: tuple[Any, Any], approved: Any, small_base: Path, tmp_path: Path) -> None:
    """A checkpoint of another dataset, or of a training without the gate, is not gone on from."""
    from transformers import AutoTokenizer

    from governance.train.callback import DataGateCallback, GatedRows, check_checkpoint

    data, rows = gated
    other = open_gated(approved.other_file, approved.place)
    others, _ = GatedRows.of(other, AutoTokenizer.from_pretrained(small_base), cutoff=1024)
    trainer_of(small_base, others, [DataGateCallback(other)], tmp_path / "other").train()
    gate = DataGateCallback(data)
    for folder in (tmp_path / "other", tmp_path / "bare"):
        if folder.name == "bare":
            trainer_of(small_base, others, [], folder).train()
        with pytest.raises(SignatureError, match=f"this training is of dataset {data.digest[:16]}"):
            trainer_of(small_base, rows, [gate], tmp_path / "out", max_steps=4).train(
                resume_from_checkpoint=str(folder / "checkpoint-2")
            )
        assert gate.consumed is None
        nothing_to_sign(folder, approved)
    check_checkpoint(tmp_path / "other" / "checkpoint-2", other.digest)
    weights = tmp_path / "other" / "checkpoint-2" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(SignatureError, match="changed after the checkpoint"):
        check_checkpoint(tmp_path / "other" / "checkpoint-2", other.digest)


def test_token_rows_changed_in_memory(gated: tuple[Any, Any], approved: Any, small_base: Path, tmp_path: Path) -> None:
    """Token ids that somebody overwrites between two steps stop the training at the next save."""
    from transformers import TrainerCallback

    from governance.train.callback import DataGateCallback

    class Swap(TrainerCallback):  # type: ignore[misc,unused-ignore]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            rows._encoded.ids[0] ^= 1

    data, rows = gated
    gate = DataGateCallback(data)
    with pytest.raises(SignatureError, match="token ids changed"):
        trainer_of(small_base, rows, [Swap(), gate], tmp_path / "out").train()
    assert gate.consumed is None
    nothing_to_sign(tmp_path / "out", approved)


def test_verdict_withdrawn_while_training(
    gated: tuple[Any, Any], approved: Any, small_base: Path, tmp_path: Path
) -> None:
    """A run that is changed while a training goes on stops it at the next save."""
    from transformers import TrainerCallback

    from governance.train.callback import DataGateCallback

    class Tamper(TrainerCallback):  # type: ignore[misc,unused-ignore]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            (approved.run / "extra.txt").write_text("x")

    gate = DataGateCallback(gated[0])
    with pytest.raises(SignatureError, match="added"):
        trainer_of(small_base, gated[1], [Tamper(), gate], tmp_path / "out").train()
    assert gate.consumed is None


def test_one_rank_reads_another_file(approved: Any, small_base: Path, tmp_path: Path) -> None:
    """Of two processes that train together one has another approved dataset: both stop, and both say why."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).with_name("two_ranks.py")
    started = []
    for rank, file in enumerate((approved.file, approved.other_file)):
        environment = os.environ | {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        arguments = [approved.place.root, file, small_base, tmp_path / "out"]
        started.append(
            subprocess.Popen(
                [sys.executable, str(script), *map(str, arguments)], env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
    ended = [process.communicate(timeout=120) for process in started]
    assert [p.returncode for p in started] == [7, 7], ended
    assert "process 1 has dataset" in ended[0][0] and "process 0 has dataset" in ended[1][0]
    assert list((tmp_path / "out").glob("checkpoint-*")) == []


# ---- another trainer, behind `guard` ----


def test_an_offered_adapter_says_offered(approved: Any, adapter: Path, tmp_path: Path) -> None:
    """An adapter of a guarded command is signed as offered, never as consumed, and not if the data was touched."""
    from governance.train.guard import guard_command

    data = open_gated(approved.file, approved.place)
    made = tmp_path / "made"
    copy = f"import os, shutil; os.mkdir({str(made)!r}); " + "".join(
        f"shutil.copy({str(adapter / name)!r}, {str(made)!r}); "
        for name in ("adapter_model.safetensors", "adapter_config.json")
    )
    command = [sys.executable, "-c", copy, "{dataset}"]
    ended = guard_command(data, approved.file, command, approved.place, produced=made)
    sign_adapter(made, approved.place, audit=released(made), offer=ended.record)
    found = verify_adapter(made, load_trust(approved.place.root))
    assert (found.relation, found.dataset) == ("offered", approved.digest)

    shutil.rmtree(made)
    touch = f"import os, sys; p = sys.argv[1]; os.chmod(p, 0o600); open(p, 'a').write(' '); {copy}"
    ended = guard_command(
        data, approved.file, [sys.executable, "-c", touch, "{dataset}"], approved.place, produced=made
    )
    assert not ended.unchanged
    unsigned(made, approved, "changed the data", offer=ended.record)


def test_a_folder_that_is_no_dataset(approved: Any, small_base: Path, tmp_path: Path) -> None:
    """What cannot be read at all is an error of its own, and no way around the gate."""
    with pytest.raises(InputError):
        train_adapter(tmp_path / "nothing.jsonl", small_base, tmp_path / "stolen", workspace=approved.place)
