"""counts -> a bar chart as inline SVG that scales, prints, and can be read aloud."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH = 360  # units; a phone's column, so that 11 units of type stay 11 pixels there
HEIGHT = 210
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 30, 44
MOST_LABELS = 8  # labels under the axis before every second one is left out

Series = tuple[str, Sequence[float]]


def bars(name: str, title: str, x_label: str, y_label: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """
    Return an upright bar chart.

    Args:
        name: unique in the document; makes the ids that tie title and description to the drawing.
        labels: one under each group of bars.
        series: one or two of (name, one value of at least 0 per label); the second is drawn as an outline.
    """
    top = max((v for _, values in series for v in values), default=0)
    ticks = axis_ticks(top)
    high = ticks[-1] or 1
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    out = [_head(name, title, labels, series)]
    for tick in ticks:
        y = TOP + plot_height * (1 - tick / high)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text class="tick" x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{short(tick)}</text>')
    slot = plot_width / max(1, len(labels))
    thick = min(34.0, slot * 0.72) / max(1, len(series))
    for i, label in enumerate(labels):
        middle = LEFT + slot * (i + 0.5)
        for k, (_, values) in enumerate(series):
            tall = plot_height * values[i] / high
            if tall:
                x = middle + thick * (k - len(series) / 2)
                y = TOP + plot_height - max(tall, 0.8)  # one sample among thousands must still be seen
                out.append(
                    f'<rect class="bar{k}" x="{x:.1f}" y="{y:.1f}" width="{max(thick - 1, 1):.1f}" '
                    f'height="{max(tall, 0.8):.1f}"/>'
                )
        if i % math.ceil(len(labels) / MOST_LABELS) == 0:
            out.append(
                f'<text class="tick" x="{middle:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )
    out.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>')
    out.append(f'<text class="label" x="{LEFT + plot_width / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">')
    out.append(f'{escape(x_label)}</text><text class="label" x="0" y="12">{escape(y_label)}</text>')
    out.append(_legend(series) + "</svg>")
    return Markup("".join(out))


def rows(name: str, title: str, value_label: str, labels: Sequence[str], values: Sequence[float]) -> Markup:
    """Return a lying bar chart, one row per label, its value at the end; for names that do not fit under an axis."""
    height = 26 + 24 * len(labels)
    high = max(values, default=0) or 1
    left, room = 110, WIDTH - 110 - 52
    out = [_head(name, title, labels, [(value_label, values)], height)]
    out.append(f'<text class="label" x="0" y="12">{escape(value_label)}</text>')
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = 26 + 24 * i
        width = max(room * value / high, 1)
        cut = label if len(label) <= 16 else label[:15] + "…"
        out.append(f'<text class="tick" x="{left - 7}" y="{y + 12}" text-anchor="end">{escape(cut)}</text>')
        out.append(f'<rect class="bar0" x="{left}" y="{y}" width="{width:.1f}" height="16"/>')
        out.append(f'<text class="tick" x="{left + width + 6:.1f}" y="{y + 12}">{value:,.0f}</text>')
    out.append("</svg>")
    return Markup("".join(out))


def axis_ticks(top: float) -> list[float]:
    """
    Return round numbers from 0 up to at least *top*, three to six of them.

    >>> axis_ticks(2152)
    [0, 500, 1000, 1500, 2000, 2500]
    >>> axis_ticks(3)
    [0, 1, 2, 3]
    >>> axis_ticks(0)
    [0, 1]
    """
    if top <= 1:
        return [0, 1]
    rough = top / 4
    power = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.9 and (m * power) % 1 == 0)
    return [int(step * i) for i in range(math.ceil(top / step) + 1)]


def short(number: float) -> str:
    """
    Return *number* in at most five characters.

    >>> short(950), short(1500), short(20_000), short(3_000_000)
    ('950', '1.5k', '20k', '3M')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def _head(name: str, title: str, labels: Sequence[str], series: Sequence[Series], height: int = HEIGHT) -> str:
    """Open the drawing; its description holds the numbers, for those who cannot see the bars."""
    said = "; ".join(
        (f"{which}: " if which else "")
        + ", ".join(f"{label} {value:,.0f}" for label, value in zip(labels, values, strict=True))
        for which, values in series
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(said)}</desc>'
    )


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return ""
    out, x = [], float(WIDTH - RIGHT)
    for k in reversed(range(len(series))):
        out.append(f'<text class="tick" x="{x:.0f}" y="12" text-anchor="end">{escape(series[k][0])}</text>')
        # 6.4 units a letter, twice that for a Chinese one, is near enough to set the square left of the word
        x -= sum(12 if ord(c) > 0x2E7F else 6.4 for c in series[k][0]) + 14
        out.append(f'<rect class="bar{k}" x="{x:.0f}" y="3" width="9" height="9"/>')
        x -= 12
    return "".join(out)
