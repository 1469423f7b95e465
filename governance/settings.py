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
    "most-repeated": "copies of the most repeated sample, beyond the first",
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
    """How near-duplicates are searched; ``threshold`` is Jaccard over distinct 5-grams of lexemes."""

    threshold: float = Field(default=0.8, ge=0.5, le=1.0)
    method: Literal["exact"] = "exact"


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
    gates: dict[str, GateSpec] = Field(min_length=1)
    expectations: list[Expectation] = []
    expires_days: int = Field(30, ge=1, le=3650)

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
    rules: list[str] | None = Field(None, min_length=1)
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
    """

    name: str
    required_gates: dict[str, PolicyGate] = {}
    required_packs: list[str] = []
    rules: list[str] = []
    trusted_keys: list[str] = []
    expires_days: int | None = Field(None, ge=1)
    max_dedup_threshold: float | None = Field(None, ge=0.5, le=1.0)
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
