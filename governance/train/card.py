"""an adapter's record -> its card, and the curve of its loss; nothing stands there that the record does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 640, 300  # units
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 44
LINES = 5  # across the plot
STYLE = (
    "text{font:12px sans-serif;fill:#333}.axis{stroke:#333}.grid{stroke:#ddd}.curve{fill:none;stroke:#1f5fa8;"
    "stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#ddd}.grid{stroke:#444}"
    ".curve{stroke:#7db4ee}}"
)


def loss_plot(losses: Sequence[Sequence[float]]) -> str:
    """
    Return an SVG of the loss by step; it stands alone and can be read aloud.

    Args:
        losses: (step, loss) in the order of the steps.
    """
    top = max((loss for _, loss in losses), default=1.0) or 1.0
    first, last = (losses[0][0], losses[-1][0]) if losses else (0, 1)
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(step: float, loss: float) -> tuple[float, float]:
        return LEFT + wide * (step - first) / max(last - first, 1), TOP + tall * (1 - loss / top)

    said = (
        f"loss {losses[0][1]:.3f} at step {first}, {losses[-1][1]:.3f} at step {last}" if losses else "no loss logged"
    )
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">'
        f'<title id="t">Loss on the answers</title><desc id="d">{said}</desc><style>{STYLE}</style>'
        f'<text x="{LEFT}" y="18">loss on the answers, mean of the steps since the point before</text>'
    ]
    for k in range(LINES):
        value = top * k / (LINES - 1)
        y = place(first, value)[1]
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    points = [place(step, loss) for step, loss in losses]
    out.append(f'<polyline class="curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
    out.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{TOP + tall}" y2="{TOP + tall}"/>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 24}">{first}</text>')
    out.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 24}" text-anchor="end">{last}</text>')
    out.append(f'<text x="{LEFT + wide / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">optimiser step</text></svg>\n')
    return "".join(out)


def write_card(record: Mapping[str, Any]) -> str:
    """Return the README.md of an adapter: what it was made of, how, and what nobody has shown about it yet."""
    base, data, read, cut = record["base"], record["data"], record["consumed"], record["truncation"]
    settings, template = record["training"], record["template"]
    losses = record["losses"]
    parts = [
        f"---\nlibrary_name: peft\nbase_model: {_yaml(base['name'])}\ntags:\n- lora\n---\n",
        f"# LoRA adapter on {_line(base['name'])}\n",
        f"**{_line(record['status'])}**\n",
        "## Base\n",
        _table([("name", base["name"]), ("family", base["family"]), ("digest", base["digest"])]),
        "## Data\n",
        _table(
            [
                ("approved dataset", data["dataset"]),
                ("dataset that training read", read["dataset"] or "none"),
                ("samples", f"{data['samples']:,}, of which {read['rows']:,} have an answer within the cutoff"),
                ("read at least once", f"{read['rows_read']:,}"),
                ("run that approved it", data["run"]),
                ("pipeline", f"{record['pipeline']}, {data['pipeline']}"),
                ("policy", data["policy"] or "none"),
                (
                    "signed by",
                    f"{data['signer']}{' (the key of the workspace it was checked in)' if data['signed_here'] else ''}",
                ),
                ("approval ends", data["expires"]),
            ]
        ),
        "## Training\n",
        _table([(name.replace("_", " "), _word(value)) for name, value in settings.items()]),
        f"\n{record['steps']:,} optimiser steps; {_curve(losses)}\n\n![loss by step](loss.svg)\n",
        f"The cutoff of {settings['cutoff']:,} tokens shortened {cut['shortened']:,} of {cut['samples']:,} samples and "
        f"left out {cut['left_out']:,}; {cut['share_lost']:.2%} of the answers' tokens were never seen. The longest "
        f"sample has {cut['longest']:,} tokens.\n",
        "## Use\n",
        f"Ask in the words of the template that it was trained with, *{_line(template['name'])}*; `adapter.json` holds "
        "it in full.\n",
        "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        f"model = AutoModelForCausalLM.from_pretrained(BASE)  # the folder of {_line(base['name'])}\n"
        "model = PeftModel.from_pretrained(model, ADAPTER)  # this folder\n```\n",
        "## Made with\n",
        _table([*record["machine"].items(), *record["versions"].items()]),
    ]
    return "\n".join(parts)


def _curve(losses: Sequence[Sequence[float]]) -> str:
    if not losses:
        return "no loss was logged."
    return f"the loss went from {losses[0][1]:.3f} to {losses[-1][1]:.3f}."


def _word(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    return "| | |\n| --- | --- |\n" + "\n".join(f"| {_line(k)} | {_line(v)} |" for k, v in rows) + "\n"


def _line(value: Any) -> str:
    """One line of Markdown that is text and nothing else: names come from files that others wrote."""
    text = " ".join(str(value).split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)


def _yaml(value: str) -> str:
    """A name as a YAML string."""
    import json

    return json.dumps(" ".join(value.split()), ensure_ascii=False)
