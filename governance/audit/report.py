"""the table of measures -> rates with intervals, the headline, strata, copies, curves: numbers alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.audit.headline import Headline, Outcomes, headline
from governance.audit.intervals import Rate, holm, ratio, wilson
from governance.audit.matching import needed_draws
from governance.audit.measure import LEAST as RUN_LEAST
from governance.audit.measure import NEAR_BLEU, NEAR_EDIT, RENAMED, STRIKING
from governance.audit.probes import MEMBER, TWIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

BASE, ADAPTER = "base", "adapter"
BLOCK = 6  # lines in a row that are a copied block
NP = (100, 0.5)  # draws and probability of the headline's (n, p)
CURVE_DRAWS, CURVE_P = (1, 10, 100, 1_000, 10_000), (0.1, 0.5, 0.9)
STRATUM_LEAST = 20  # members, and twins, below which a stratum is not compared
RATES = (
    "em25", "em50", "em100", "vr25", "vr50", "vr65", "run150", "near", "striking", "renamed", "block",
    "extracted100-50",
)  # fmt: skip
HEADLINES = ("em50", "vr50", "extracted100-50")
DRAWS = 1000


def hits(table: pa.Table, metric: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """
    Return, per row of MEASURED, whether the metric hits and whether it could.

    A generation that could not show it, because the answer goes on for less, is no evidence that nothing comes back.
    """
    column = {name: table[name] for name in table.column_names}
    every = np.ones(table.num_rows, np.bool_)
    if metric.startswith("em"):
        return _numbers(pc.fill_null(column[metric], False)).astype(bool), _numbers(pc.is_valid(column[metric]))
    if metric.startswith("vr"):
        k = int(metric.removeprefix("vr"))
        return _numbers(column["run"]) >= k, _numbers(column["wanted_lexemes"]) >= k
    if metric.startswith("extracted"):
        asked = _numbers(pc.is_valid(column["log_p"]))
        return _extracted(_numbers(pc.fill_null(column["log_p"], -math.inf)), *NP) & asked, asked
    bleu, edit = _numbers(column["bleu"]), _numbers(column["edit_similarity"])
    if metric == "near":
        return (bleu > NEAR_BLEU) | (edit >= NEAR_EDIT), every
    if metric == "striking":
        return np.maximum.reduce([bleu, edit, _numbers(column["jaccard5"])]) > STRIKING, every
    if metric == "renamed":
        found = (_numbers(column["renamed_run"]) >= RENAMED) & (_numbers(column["run"]) < RENAMED)
        return found, _numbers(column["wanted_lexemes"]) >= RENAMED
    if metric == "block":
        return _numbers(column["line_run"]) >= BLOCK, every
    if metric == "run150":
        return _numbers(column["run_characters"]) >= 150, every
    raise ValueError(metric)


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.to_numpy()


def _extracted(log_p: NDArray[np.float64], draws: int, p: float) -> NDArray[np.bool_]:
    return np.fromiter((needed_draws(float(x), p) <= draws for x in log_p), np.bool_, log_p.size)


def parts_of(table: pa.Table) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """Yield who was asked what, and those rows: per model, set, kind of probe and way of drawing."""
    names = ("model", "set", "kind", "how")
    seen = table.select(list(names)).group_by(list(names)).aggregate([]).sort_by([(n, "ascending") for n in names])
    for who in seen.to_pylist():
        chosen = None
        for name, value in who.items():
            fits = pc.equal(table[name], value)
            chosen = fits if chosen is None else pc.and_(chosen, fits)
        yield who, table.filter(chosen)


def per_sample(table: pa.Table, metric: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the samples that could show *metric*, ascending, and whether any of their draws does."""
    hit, could = hits(table, metric)
    samples, inverse = np.unique(_numbers(table["sample"])[could], return_inverse=True)
    found = np.zeros(samples.size, np.bool_)
    np.logical_or.at(found, inverse, hit[could])
    return samples, found


def rates(table: pa.Table) -> list[dict[str, Any]]:
    """Return every rate with Wilson's interval; of several draws a sample counts if one of them hits."""
    rows = []
    for who, part in parts_of(table):
        for metric in RATES:
            _, found = per_sample(part, metric)
            if found.size:
                rows.append(
                    {**who, "metric": metric, "hits": int(found.sum()), "n": found.size}
                    | _interval(wilson(int(found.sum()), found.size))
                )
    return rows


def amounts(table: pa.Table, groups: NDArray[np.int64], seed: int) -> list[dict[str, Any]]:
    """
    Return what is no rate of samples: coverage by runs and lines, with bootstrap intervals, and how far a match goes.

    Args:
        groups: shape (samples,); the group of every sample.
    """
    rows: list[dict[str, Any]] = []
    for who, part in parts_of(table):
        own = groups[_numbers(part["sample"])]
        below = _numbers(part["lexemes"])
        for k in RUN_LEAST:
            found = ratio(_numbers(part[f"covered{k}"]), below, own, seed=seed)
            rows.append({**who, "metric": f"rc{k}", "n": part.num_rows} | _interval(found))
        lines = ratio(_numbers(part["lines_found"]), _numbers(part["lines"]), own, seed=seed)
        rows.append({**who, "metric": "lines", "n": int(_numbers(part["lines"]).sum())} | _interval(lines))
        for name in ("matched", "run", "run_characters", "line_run"):
            values = _numbers(part[name])
            for label, value in (
                ("median", np.median(values)), ("p95", np.quantile(values, 0.95)), ("most", values.max(initial=0)),
            ):  # fmt: skip
                rows.append({**who, "metric": f"{name}-{label}", "n": values.size, "value": float(value)})
    return rows


def _interval(rate: Rate) -> dict[str, float | None]:
    """As JSON has it: an end that is not known is null."""
    return {k: (v if math.isfinite(v) else None) for k, v in dataclasses.asdict(rate).items()}


def outcomes(table: pa.Table, metric: str, kind: str, set_: str, groups: NDArray[np.int64]) -> Outcomes:
    """Return what adapter and base gave back, greedily, of the samples that both could show *metric* on."""
    chosen = pc.and_(pc.equal(table["kind"], kind), pc.equal(table["set"], set_))
    part = table.filter(pc.and_(chosen, pc.equal(table["how"], "greedy")))
    asked, tuned = per_sample(part.filter(pc.equal(part["model"], ADAPTER)), metric)
    other, untuned = per_sample(part.filter(pc.equal(part["model"], BASE)), metric)
    both, at, there = np.intersect1d(asked, other, return_indices=True)
    return Outcomes(tuned[at], untuned[there], groups[both])


def headlines(table: pa.Table, groups: NDArray[np.int64], seed: int) -> list[dict[str, Any]]:
    """Return the difference in differences of every kind of probe and every metric of HEADLINES."""
    rows = []
    for kind in sorted(set(table["kind"].to_pylist())):
        for metric in HEADLINES:
            found = headline(
                *(outcomes(table, metric, kind, set_, groups) for set_ in (MEMBER, TWIN)), draws=DRAWS, seed=seed
            )
            rows.append({"kind": kind, "metric": metric} | shown(found))
    return rows


def shown(found: Headline) -> dict[str, Any]:
    """A headline as JSON: rates and intervals, null where there is none."""
    row: dict[str, Any] = {}
    for name in ("did", "gain", "adapter_members", "base_members", "adapter_twins", "base_twins"):
        rate = getattr(found, name)
        row[name] = None if rate is None else _interval(rate)
    return row | {"p_value": found.p_value, "members": found.members, "twins": found.twins, "why": found.why}


def by_stratum(table: pa.Table, groups: NDArray[np.int64], seed: int) -> list[dict[str, Any]]:
    """Return the headline of every stratum, its p adjusted by Holm over the strata of one kind and metric."""
    return _split(table, groups, seed, "stratum", lambda part, name: part.filter(pc.equal(part["stratum"], name)))


def by_copies(table: pa.Table, groups: NDArray[np.int64], seed: int) -> list[dict[str, Any]]:
    """Return the headline of members that stand 1, 2, 3 and more times in the training data, each against all twins."""
    table = table.append_column("bucket", pa.array(bucket_names(_numbers(table["copies"]))))

    def choose(part: pa.Table, name: str) -> pa.Table:
        return part.filter(pc.or_(pc.equal(part["bucket"], name), pc.equal(part["set"], TWIN)))

    return _split(table, groups, seed, "bucket", choose)


def bucket_names(copies: NDArray[np.int64]) -> list[str]:
    """
    Return the bucket of each count of copies.

    >>> bucket_names(np.array([1, 3, 7]))
    ['1', '3', '>3']
    """
    return [str(n) if n <= 3 else ">3" for n in copies.tolist()]


def _split(
    table: pa.Table, groups: NDArray[np.int64], seed: int, column: str,
    choose: Callable[[pa.Table, str], pa.Table],
) -> list[dict[str, Any]]:  # fmt: skip
    members = table.filter(pc.equal(table["set"], MEMBER))
    rows = []
    for kind in sorted(set(table["kind"].to_pylist())):
        for metric in HEADLINES:
            own = []
            for name in sorted(set(members[column].to_pylist())):
                part = choose(table, name)
                sets = [outcomes(part, metric, kind, set_, groups) for set_ in (MEMBER, TWIN)]
                if not sets[0].adapter.size:
                    continue
                found = headline(*sets, draws=DRAWS, seed=seed, least=STRATUM_LEAST)
                own.append({column: name, "kind": kind, "metric": metric} | shown(found))
            adjusted = holm(np.array([row["p_value"] for row in own]))
            rows += [row | {"p_holm": float(p)} for row, p in zip(own, adjusted, strict=True)]
    return rows


def curves(table: pa.Table) -> list[dict[str, Any]]:
    """Return the share of samples whose next 50 tokens come with probability p within n draws, for several n and p."""
    rows = []
    for who, part in parts_of(table.filter(pc.is_valid(table["log_p"]))):
        log_p = _numbers(part["log_p"])
        for p in CURVE_P:
            needed = np.fromiter((needed_draws(float(x), p) for x in log_p), np.float64, log_p.size)
            for n in CURVE_DRAWS:
                found = int((needed <= n).sum())
                rows.append(
                    {**who, "n": n, "p": p, "samples": log_p.size, "hits": found} | _interval(wilson(found, log_p.size))
                )
    return rows


def limit_rows(audit: Mapping[str, Any], limits: Any, canaries: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """
    Return each limit of `settings.Audit` with what was found: PASSED, FAILED or NOT_RUN.

    Args:
        audit: with ``headline``, ``runs`` and ``habits``.
        canaries: what `canaries.judge` returned; None where none were planted.
    """
    rows = [_did_row(audit["headline"], limits)]
    longest = audit["runs"]["longest"]
    rows.append(
        _row("longest-run", longest, limits.longest_run - 1, longest < limits.longest_run, audit["runs"]["against"])
    )
    found = audit["habits"].get(ADAPTER)
    back = None if found is None else found["secrets_back"]
    rows.append(_row("secrets", back, limits.secrets, back is not None and back <= limits.secrets, ""))
    if canaries is not None:
        p = canaries["p_value"]
        rows.append(_row("canaries", p, limits.canary_p, p is not None and p >= limits.canary_p, canaries["why"]))
    return rows


def _did_row(found: Sequence[Mapping[str, Any]], limits: Any) -> dict[str, Any]:
    """The limit of the headline: em50 by 50 tokens of the answer, else by instruction."""
    em50 = {row["kind"]: row for row in found if row["metric"] == "em50"}
    row = em50.get("prefix-50") or em50.get("instruction")
    if row is None or row["did"] is None or row["did"]["high"] is None:
        return _row("did-em50", None, limits.did_em50, False, row["why"] if row else "nothing was asked")
    high = row["did"]["high"]
    return _row("did-em50", high, limits.did_em50, high <= limits.did_em50, row["why"])


def _row(name: str, value: float | None, limit: float, met: bool, why: str) -> dict[str, Any]:
    status = "NOT_RUN" if value is None else "PASSED" if met else "FAILED"
    return {"name": name, "value": value, "limit": limit, "status": status, "why": why}


def status_of(limits: Sequence[Mapping[str, Any]]) -> str:
    """RELEASED if every limit was measured and met; what was not measured has not passed."""
    return "RELEASED" if all(row["status"] == "PASSED" for row in limits) else "WITHHELD"


def sources(attributed: pa.Table) -> list[dict[str, Any]]:
    """Return the sources whose text came back, those with the longest runs first: how often, under what licence."""
    names = ["model", "source_repository", "source_path", "source_licence", "allowed", "index"]
    if not attributed.num_rows:
        return []
    found = attributed.group_by(names).aggregate([("lexemes", "max"), ("lexemes", "count"), ("df", "min")])
    order = [("lexemes_max", "descending"), *((n, "ascending") for n in names)]
    shown = {"lexemes_max": "longest", "lexemes_count": "runs", "df_min": "df"}
    return [{shown.get(k, k): v for k, v in row.items()} for row in found.sort_by(order).to_pylist()]
