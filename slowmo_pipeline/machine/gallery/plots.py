"""The plots of the gallery, as SVG: their colours are classes of the page's style sheet, for light and for dark."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pandas as pd
from markupsafe import Markup, escape

from slowmo_pipeline.steps.stage_seconds import STAGES

WIDTH = 460
"""Of a plot's coordinates, of which a telephone shows one for about a pixel."""
BARS = 12
"""The latest videos: more are read in the table."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 44
_ROW, _BAR = 34, 13
_KINDS = 4
"""Series with a colour of their own."""
_LONGEST_NAME = 44


def stages_plot(table: pd.DataFrame) -> Markup | None:
    """Seconds by stage of the latest videos, a bar each; None when none is known."""
    known = table[table["all_stages_s"] > 0].sort_values("made_at", ascending=False).head(BARS)
    if known.empty:
        return None
    left = 6
    ticks = _ticks(float(known["all_stages_s"].max()))
    scale = (WIDTH - left - 62) / ticks[-1]
    bottom = _TOP + _ROW * len(known)
    parts = [*_x_axis([(left + tick * scale, _number(tick)) for tick in ticks], _TOP, bottom, "seconds")]
    for place, row in enumerate(known.to_dict("records")):
        top, x = _TOP + _ROW * place, float(left)
        parts.append(_text(left, top + 12, _short(str(row["name"] or row["video"])), "label"))
        for stage in STAGES:
            seconds = row[f"{stage}_s"]
            if not seconds > 0:  # of what is not known as well
                continue
            width = seconds * scale
            told = escape(f"{row['name']}: {stage} {seconds:.4g} s")
            parts.append(
                Markup(
                    '<rect class="fill {}" x="{:.2f}" y="{}" width="{:.2f}" height="{}"><title>{}</title></rect>'
                ).format(stage, x, top + 17, max(width - 1, 0.5), _BAR, told)
            )
            x += width
        parts.append(_text(x + 5, top + 17 + _BAR - 2, f"{row['all_stages_s']:.3g} s", "value"))
    return _svg(parts, bottom + _BOTTOM, "Seconds by stage of the latest videos")


def speed_plot(table: pd.DataFrame) -> tuple[Markup, list[str]] | None:
    """Megapixels of new frames a second over the time at which videos were made; with it, the interpolators in it."""
    known = table[(table["megapixels_per_s"] > 0) & table["made_at"].notna()]
    if known.empty:
        return None
    names = sorted(known["interpolator"].dropna().unique())
    height, bottom = 260, 260 - _BOTTOM
    ticks = _ticks(float(known["megapixels_per_s"].max()))
    begin, end = _span(known["made_at"].min().to_pydatetime(), known["made_at"].max().to_pydatetime())
    wide, high = WIDTH - _LEFT - _RIGHT, bottom - _TOP

    def x_of(moment: datetime) -> float:
        return _LEFT + wide * ((moment - begin) / (end - begin))

    def y_of(value: float) -> float:
        return bottom - high * value / ticks[-1]

    parts = [_line(_LEFT, y_of(tick), WIDTH - _RIGHT, y_of(tick), "grid") for tick in ticks]
    parts += [_text(_LEFT - 6, y_of(tick) + 4, _number(tick), "tick end") for tick in ticks]
    moments = [begin + (end - begin) * part / 3 for part in range(4)]
    parts += [
        _text(x_of(moment), bottom + 17, _moment(moment, end - begin), f"tick {anchor}")
        for moment, anchor in zip(moments, ("start", "middle", "middle", "end"), strict=True)
    ]
    parts.append(_text(_LEFT + wide / 2, height - 6, "made at (UTC)", "axis middle"))
    parts.append(
        Markup(
            '<text class="axis middle" transform="translate(12 {:.1f}) rotate(-90)">megapixels a second</text>'
        ).format(_TOP + high / 2)
    )
    for row in known.to_dict("records"):
        kind = min(names.index(row["interpolator"]), _KINDS - 1) if row["interpolator"] in names else _KINDS - 1
        told = f"{row['name']}: {row['megapixels_per_s']:.3g} megapixels a second by {row['interpolator']}"
        parts.append(
            Markup('<circle class="fill kind-{}" cx="{:.2f}" cy="{:.2f}" r="4.5"><title>{}</title></circle>').format(
                kind, x_of(row["made_at"].to_pydatetime()), y_of(row["megapixels_per_s"]), told
            )
        )
    return _svg(parts, height, "Megapixels of new frames a second over time"), names[:_KINDS]


def _x_axis(ticks: Sequence[tuple[float, str]], top: float, bottom: float, label: str) -> Iterator[Markup]:
    for x, told in ticks:
        yield _line(x, top, x, bottom, "grid")
        yield _text(x, bottom + 17, told, "tick start" if x < 20 else "tick middle")
    yield _text(WIDTH / 2, bottom + _BOTTOM - 8, label, "axis middle")


def _ticks(largest: float) -> list[float]:
    """From 0 to the first round number that holds the largest value, three to six of them."""
    rough = largest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [step * count for count in range(math.ceil(largest / step - 1e-9) + 1)]


def _span(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """A little more than from the first to the last, and an hour at least."""
    margin = max((last - first) * 0.04, timedelta(minutes=30) - (last - first) / 2)
    return first - margin, last + margin


def _moment(moment: datetime, span: timedelta) -> str:
    if span < timedelta(days=1):
        return f"{moment:%H:%M}"
    return f"{moment.day} {moment:%b %H:%M}" if span < timedelta(days=4) else f"{moment.day} {moment:%b %Y}"


def _number(value: float) -> str:
    return f"{value:,.6g}" if value < 1e6 else f"{value:.3g}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 12]}…{name[-11:]}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:.2f}" y="{:.2f}">{}</text>').format(kind, x, y, text)


def _svg(parts: Sequence[Markup], height: float, label: str) -> Markup:
    frame = Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return frame.format(WIDTH, round(height), label, Markup("").join(parts))
