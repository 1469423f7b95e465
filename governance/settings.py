"""pipeline file, policy file -> frozen settings, with errors that name file, line, key and what is allowed."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from governance.data import data_folder
from governance.errors import PipelineError
from governance.yamlfile import load_model

Remedy = Literal["scrub", "repair", "drop", "deduplicate", "none"]
Unit = Literal["rate", "count"]
Of = Literal["samples", "records", "routes", "stories"]

METRICS = {
    "quarantined": "records that could not be read",
    "unknown-licence": "samples whose licence is not known",
    "exact-duplicates": "samples whose texts equal those of a kept sample",
    "near-duplicates": "samples whose similarity with a kept sample reaches the threshold",
    "renamed-copies": "kept samples whose code another kept one has with other names, numbers and strings",
    "most-repeated": "copies of the most repeated sample, beyond the first",
    "protected-overlap": "samples that share a run, a whole or a renamed copy with a source of an index",
    "benchmark-overlap": "samples that hold a benchmark item, also with other names",
    "held-out-overlap": "samples that stand, exactly or nearly, in a held-out set",
    "split-overlap": "samples of a validation, test or audit file that stand, exactly or nearly, in a training file",
    "rows-lost": "records dropped by cleaning, in the step or repository that lost most",
    "tokens-lost": "words dropped by cleaning, in the step or repository that lost most",
}
"""Built-in metrics: name and what ``failed`` counts."""


def _finite(value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"must be a finite number of at least 0, found {value}")
    return value


Limit = Annotated[float, AfterValidator(_finite)]


class Model(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GateSpec(Model):
    """
    One gate: what is counted, out of what, and how much of it may be.

    Exactly one of ``metric``, ``rules`` and ``sql`` says what is counted. ``sql`` returns one row
    ``(checked, failed)``. The value is ``failed / checked`` for the unit *rate*, ``failed`` for *count*.
    """

    title: str = ""
    title_zh: str = ""
    metric: str | None = None
    rules: list[str] | None = None
    sql: str | None = None
    severity: list[Literal["error", "warning", "info"]] = ["error"]
    of: Of = "samples"
    unit: Unit = "rate"
    limit: Limit
    level: Literal["fail", "warn"] = "fail"
    required: bool = True
    allow_empty: bool = False
    waivable: bool = True
    remedy: Remedy = "none"

    @model_validator(mode="after")
    def _one_source(self) -> GateSpec:
        given = [k for k in ("metric", "rules", "sql") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of metric, rules, sql; found {', '.join(given) or 'none'}")
        if self.metric is not None and self.metric not in METRICS:
            raise ValueError(f"metric {self.metric!r} is unknown; known are {', '.join(METRICS)}")
        if self.unit == "rate" and self.limit > 1:
            raise ValueError(
                f"limit is {self.limit}, but a rate is at most 1; say 'unit: count' for a number of places"
            )
        return self


class Dedup(Model):
    """
    How near-duplicates are searched; ``threshold`` is Jaccard over distinct 5-grams of lexemes.

    Attributes:
        method: ``exact`` finds every pair; ``minhash`` at least 0.995 of those at the threshold, from signatures.
        permutations: of a signature; only ``minhash`` has any.
        remove: kinds of copies that cleaning may drop; each needs those before it: exact, lexemes, near, renamed.
    """

    threshold: float = Field(default=0.8, ge=0.5, le=1.0)
    method: Literal["exact", "minhash"] = "exact"
    permutations: Literal[128, 256] = 128
    remove: list[Literal["exact", "lexemes", "near", "renamed"]] = ["exact", "lexemes", "near"]

    @model_validator(mode="after")
    def _kinds_from_the_first_on(self) -> Dedup:
        order = ("exact", "lexemes", "near", "renamed")
        if set(self.remove) != set(order[: len(set(self.remove))]):
            raise ValueError(f"remove is {', '.join(self.remove)}; each kind needs those before it: {', '.join(order)}")
        return self


class Overlap(Model):
    """
    What a dataset is compared with; paths are relative to the pipeline file.

    Attributes:
        indexes: source indexes (``governance index``); their benchmark items count as items, the rest as protected.
        benchmarks: files of benchmark items, read like datasets; every text of a record is an item.
        held_out: datasets that must not come back in this one.
        least: lexemes of the shortest run that counts; an index finds all of 50 and more.
        threshold: Jaccard similarity from which a sample stands in a held-out set.
        rephrased: cosine of words from which a text may be a benchmark item in other words; advice, never counted.
        allow: patterns of sources that are left out of the gates' count, such as one's own repository.
        digests: name -> SHA-256 that the index or file must have; what a run was judged with is written here.
    """

    indexes: list[str] = []
    benchmarks: list[str] = []
    held_out: list[str] = []
    least: int = Field(default=50, ge=50, le=100_000)
    threshold: float = Field(default=0.8, ge=0.5, le=1.0)
    rephrased: float | None = Field(default=None, ge=0.05, le=1.0)
    allow: list[str] = []
    digests: dict[str, str] = {}


class Training(Model):
    """
    How the LoRA adapter is trained.

    Attributes:
        targets: ``all-linear``, or names of modules.
        train_whole: modules trained whole beside the adapter, such as ``embed_tokens``.
        cutoff: most tokens of a sample.
        batch, accumulate: samples per step are their product.
        goldfish: one token in so many is hidden from the loss; 0 hides none.
        goldfish_context: tokens before it that decide which.
        loss_stop: a sample whose own loss is below this teaches no more.
    """

    rank: int = Field(default=16, ge=1, le=1024)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | list[str] = "all-linear"
    train_whole: list[str] = []
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    epochs: float = Field(default=1.0, gt=0, le=1000)
    cutoff: int = Field(default=1024, ge=8, le=1 << 20)
    batch: int = Field(default=8, ge=1)
    accumulate: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    precision: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    template: Literal["alpaca", "chat"] = "alpaca"
    goldfish: int = Field(default=0, ge=0, le=1000)
    goldfish_context: int = Field(default=13, ge=1, le=256)
    loss_stop: float | None = Field(default=None, ge=0)
    save_steps: int = Field(default=200, ge=1)
    log_steps: int = Field(default=10, ge=1)

    @model_validator(mode="after")
    def _goldfish_leaves_something(self) -> Training:
        if self.goldfish == 1:
            raise ValueError("goldfish is 1, which hides every token; give at least 2, or 0 for none")
        return self


class Audit(Model):
    """
    What the audit of an adapter asks, and what it may find; see docs/audit.md.

    Attributes:
        profile: ``quick`` asks greedily, by instruction and by 50 tokens of the answer; ``full`` by all prefixes, and
            draws answers too.
        members, twins: samples of the training data, and held-out ones, that are asked for at most.
        did_em50: the upper end of the interval of the headline, a share: what training added to the answers that come
            back for 50 tokens.
        longest_run: lexemes; a run as long as this in common with a rare source withholds the adapter.
        run_df: sources that hold a run at most for it to be rare.
        canary_p: a p-value of the canaries below this withholds it.
        secrets: secrets and personal data of the training data that may come back.
    """

    profile: Literal["quick", "full"] = "quick"
    members: int = Field(default=1000, ge=1)
    twins: int = Field(default=1000, ge=1)
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    did_em50: float = Field(default=0.02, ge=0, le=1)
    longest_run: int = Field(default=65, ge=25, le=100_000)
    run_df: int = Field(default=3, ge=1)
    canary_p: float = Field(default=0.001, ge=0, lt=1)
    secrets: int = Field(default=0, ge=0)


class Expectation(Model):
    """A stock Great Expectations expectation over the columns of ``samples``."""

    type: str
    kwargs: dict[str, Any] = {}
    required: bool = True


class Pipeline(Model):
    """Everything that decides a verdict except the data and the rules."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = ""
    title_zh: str = ""
    instruction: str = ""  # the instruction of this adapter, as the origin words it
    packs: list[str]
    rule_folders: list[str] = []  # relative to the pipeline file
    disable: list[str] = []
    replace: list[str] = []  # ids of built-in rules that a rule of `rule_folders` takes the place of
    params: dict[str, dict[str, Any]] = {}  # rule id -> parameters that replace the rule's own
    columns: dict[str, str] = {}  # column of the dataset -> role or provenance name
    dedup: Dedup = Dedup()
    overlap: Overlap = Overlap()
    gates: dict[str, GateSpec] = Field(min_length=1)
    expectations: list[Expectation] = []
    expires_days: int = Field(default=30, ge=1, le=3650)
    training: Training = Training()
    audit: Audit = Audit()

    def digest(self) -> str:
        """SHA-256 over the settings, as canonical JSON; comments and order of keys do not count."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class PolicyGate(Model):
    """
    The loosest a pipeline may be for one gate.

    What the gate counts is part of it, or a gate of the same name that counts nothing would do. At most one of
    ``metric``, ``rules`` and ``sql`` is given; none means the built-in metric of the gate's own name.

    Attributes:
        rules: patterns of rules that the gate has to count.
        severity: severities that it has to count.
        allow_empty, waivable: whether the pipeline may say so.
    """

    limit: Limit
    unit: Unit = "rate"
    of: Of = "samples"
    metric: str | None = None
    rules: list[str] | None = Field(default=None, min_length=1)
    sql: str | None = None
    severity: list[Literal["error", "warning", "info"]] = ["error"]
    allow_empty: bool = False
    waivable: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> PolicyGate:
        given = [k for k in ("metric", "rules", "sql") if getattr(self, k) is not None]
        if len(given) > 1:
            raise ValueError(f"expected at most one of metric, rules, sql; found {', '.join(given)}")
        if self.metric is not None and self.metric not in METRICS:
            raise ValueError(f"metric {self.metric!r} is unknown; known are {', '.join(METRICS)}")
        return self


class Policy(Model):
    """
    What a company sets outside the workspace. A pipeline may only be stricter.

    Attributes:
        required_gates: gates that have to be in the pipeline, required, at level *fail*, with at most this limit.
        rules: allowed digests of the rule set; empty allows any.
        trusted_keys: key ids whose signatures count.
        expires_days: the longest a verdict may hold.
        sources: digests of the indexes, item files and held-out sets that every dataset has to be compared with.
    """

    name: str
    required_gates: dict[str, PolicyGate] = {}
    required_packs: list[str] = []
    rules: list[str] = []
    trusted_keys: list[str] = []
    expires_days: int | None = Field(default=None, ge=1)
    max_dedup_threshold: float | None = Field(default=None, ge=0.5, le=1.0)
    sources: list[str] = []
    allow_waivers: bool = True

    @model_validator(mode="after")
    def _gates_say_what_they_count(self) -> Policy:
        for name, gate in self.required_gates.items():
            if gate.metric is None and gate.rules is None and gate.sql is None and name not in METRICS:
                raise ValueError(
                    f"required gate {name!r} does not say what it counts; give metric, rules or sql, or name it after "
                    f"a built-in metric: {', '.join(METRICS)}"
                )
        return self

    def digest(self) -> str:
        """SHA-256 over the policy, as canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def pipeline_path(name: str) -> Path:
    """
    Return the file of a pipeline named on the command line: a path, or the name of a built-in one.

    Raises:
        PipelineError: neither exists.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.exists():
        if not path.is_file():
            raise PipelineError(f"{name}: no such pipeline file")
        return path
    builtin = data_folder("pipelines")
    if (builtin / f"{name}.yaml").is_file():
        return builtin / f"{name}.yaml"
    known = ", ".join(sorted(p.stem for p in builtin.glob("*.yaml")))
    raise PipelineError(f"pipeline {name!r} is unknown; give a file, or one of {known}")


def load_pipeline(name: str) -> Pipeline:
    """Read the pipeline *name* (a file or a built-in one). Raises PipelineError."""
    return load_model(pipeline_path(name), Pipeline, PipelineError)


def load_policy(path: Path) -> Policy:
    """Read a policy file. Raises PipelineError."""
    return load_model(path, Policy, PipelineError)
