"""Bars as SVG, small enough to be read as text and to be kept with it, and legible on light and dark ground."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.benchmarks.measure import Spread

LABELS = 210
PANEL = 210
GAP = 20
BAR = 16
STEP = 24
HEAD = 48
NUMBERS = 62
"""Pixels: the column of names, a panel, what is between panels, a bar, from bar to bar, what is above them, the figure behind a bar."""

_DRAWING = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">
<style>
text {{ font: 12px system-ui, sans-serif; fill: #444c56 }}
.head {{ font-weight: 600 }}
.bar {{ fill: #8b98a5 }}
.ours {{ fill: #c8641e }}
.spread {{ stroke: #444c56; stroke-width: 1.5 }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #adbac7 }}
.bar {{ fill: #636e7b }}
.ours {{ fill: #e0823d }}
.spread {{ stroke: #adbac7 }}
}}
</style>
{marks}
</svg>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One quantity, with a bar for each name that has it; `form` writes its figures."""

    title: str
    bars: Mapping[str, Spread]
    form: str = ",.0f"


def drawing(label: str, panels: Sequence[Panel], *, ours: str) -> str:
    """The panels side by side, a row for each name; the bars of `ours` stand out. A line over a bar's end shows the spread."""
    rows = list(dict.fromkeys(name for panel in panels for name in panel.bars))
    marks = [_text(LABELS - 8, _middle(row), name, anchor="end") for row, name in enumerate(rows)]
    for number, panel in enumerate(panels):
        marks += _panel(panel, rows, LABELS + number * (PANEL + GAP), ours)
    return _DRAWING.format(
        width=LABELS + len(panels) * (PANEL + GAP),
        height=HEAD + len(rows) * STEP + 8,
        label=html.escape(label),
        marks="\n".join([_text(8, 16, label, kind="head"), *marks]),
    )


def _panel(panel: Panel, rows: Sequence[str], left: float, ours: str) -> Iterator[str]:
    yield _text(left, HEAD - 12, panel.title, kind="head")
    scale = (PANEL - NUMBERS) / max(spread.greatest for spread in panel.bars.values())
    for row, name in enumerate(rows):
        if (spread := panel.bars.get(name)) is None:
            yield _text(left, _middle(row), "not measured")
            continue
        kind = "ours" if name == ours else "bar"
        end = left + spread.median * scale
        top = HEAD + row * STEP
        yield f'<rect class="{kind}" x="{left}" y="{top}" width="{end - left:.1f}" height="{BAR}" rx="2"/>'
        low, high, middle = left + spread.least * scale, left + spread.greatest * scale, top + BAR / 2
        if high - low > 1:
            yield f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>'
        yield _text(max(end, high) + 5, _middle(row), f"{spread.median:{panel.form}}")


def _middle(row: int) -> float:
    """The base line of a row's text."""
    return HEAD + row * STEP + 12


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "") -> str:
    attributes = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{html.escape(text)}</text>'
