"""Charts as inline SVG, a few dozen lines each: they scale with the page, take its colours and carry a description.

The plot area is the SVG's own box, so positions are percentages and texts keep their size at any width; labels stand
outside it, in margins that the style sheet leaves. All texts are escaped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trainwright.report import wording

MOST_POINTS = 400
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line of a chart; `kind` is its class in the style sheet: train, smooth, validation, plain."""

    name: str
    kind: str
    points: Sequence[Point]
    dots: bool = False
    in_readout: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A horizontal line to compare with."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over a common axis."""

    title: str
    description: str
    series: Sequence[Series]
    levels: Sequence[Level] = ()
    marked: Point | None = None
    """The point that stands out, with a ring."""
    marked_name: str = ""
    height: int = 280
    from_zero: bool = False


def line_chart(chart: Chart) -> Markup:
    """The chart as one figure's SVG; points that are no numbers are left out."""
    series = [_finite(line) for line in chart.series]
    values = [y for line in series for _, y in line.points] + [level.value for level in chart.levels]
    steps = [x for line in series for x, _ in line.points]
    if not values or not steps:
        return Markup("")
    low, high, ticks = _axis(0.0 if chart.from_zero else min(values), max(values))
    left, right = min(0.0, *steps) if len(steps) > 1 else 0.0, max(steps)
    frame = _Frame(left=left, right=right if right > left else left + 1, low=low, high=high)
    parts = [
        _grid(frame, ticks),
        _lines(frame, series),
        *(_level(frame, level) for level in chart.levels),
    ]
    parts += [_dots(frame, line) for line in series if line.dots]
    if chart.marked is not None:
        parts.append(_ring(frame, chart.marked, chart.marked_name))
    readout = [
        {"name": line.name, "kind": line.kind, "points": [_read(frame, point) for point in line.points]}
        for line in series
        if line.in_readout
    ]
    return Markup(
        '<svg class="chart" role="img" height="{}" aria-label="{}" data-readout="{}"><desc>{}</desc>{}</svg>'
    ).format(chart.height, chart.title, json.dumps(readout), chart.description, Markup("").join(parts))


def histogram(edges: Sequence[float], counts: Sequence[float], *, title: str, unit: str) -> Markup:
    """Bars of equal width, one for each bin, labelled by their edges; nothing if these are no edges and counts."""
    if len(edges) != len(counts) + 1 or not all(map(wording.is_number, [*edges, *counts])):
        return Markup("")
    if not counts or min(counts) < 0 or max(counts) == 0:
        return Markup("")
    low, high, ticks = _axis(0.0, max(counts))
    frame = _Frame(left=0, right=len(counts), low=low, high=high)
    names = [f"{wording.count(edges[n])}–{wording.count(edges[n + 1])} {unit}" for n in range(len(counts))]
    bars = [_bin(frame, n, value, names[n]) for n, value in enumerate(counts)]
    labels = [
        Markup('<text class="x" x="{:.3f}%" y="100%" dy="18">{}</text>').format(frame.x(n), wording.compact(edges[n]))
        for n in range(0, len(edges), max(1, math.ceil(len(edges) / 7)))
    ]
    description = f"{wording.count(sum(counts))} in {len(counts)} bins of {unit}"
    return Markup('<svg class="chart" role="img" height="180" aria-label="{}"><desc>{}</desc>{}</svg>').format(
        title, description, Markup("").join([_y_grid(frame, ticks), *bars, *labels])
    )


def bar(parts: Iterable[tuple[str, float, float]]) -> Markup:
    """A thin bar: (class, start, length) of each part as shares of the whole; what is not nothing stays visible."""
    rects = [
        Markup('<rect class="{}" x="{:.3f}%" width="{:.3f}%" height="100%"/>').format(
            kind, min(start * 100, 99.5), max(length * 100, 0.5)
        )
        for kind, start, length in parts
        if length > 0
    ]
    return Markup('<svg class="meter" aria-hidden="true">{}</svg>').format(Markup("").join(rects))


def smoothed(points: Sequence[Point], half_life: float | None = None) -> list[Point]:
    """An exponential moving average without a start-up bias; the half-life, if absent, is a thirtieth of the points."""
    decay = 0.5 ** (1 / (half_life or max(1.0, len(points) / 30)))
    total = weight = 0.0
    smooth = []
    for x, y in points:
        if math.isfinite(y):
            total, weight = total * decay + y, weight * decay + 1
            smooth.append((x, total / weight))
    return smooth


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """From values to percentages of the plot area."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return 100 * (value - self.left) / (self.right - self.left)

    def y(self, value: float) -> float:
        return 100 * (self.high - value) / (self.high - self.low)


def _bin(frame: _Frame, number: int, value: float, name: str) -> Markup:
    top = frame.y(value)
    return Markup(
        '<rect class="bar" x="{:.3f}%" y="{:.3f}%" width="{:.3f}%" height="{:.3f}%"><title>{}: {}</title></rect>'
    ).format(frame.x(number + 0.08), top, frame.x(0.84), 100 - top, name, wording.count(value))


def _finite(line: Series) -> Series:
    """The series without points that are no numbers, thinned to means of equal stretches if it has too many."""
    points = [(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)]
    stretch = math.ceil(len(points) / MOST_POINTS)
    if stretch > 1:
        pieces = [points[n : n + stretch] for n in range(0, len(points), stretch)]
        points = [(piece[-1][0], sum(y for _, y in piece) / len(piece)) for piece in pieces]
    return Series(name=line.name, kind=line.kind, points=points, dots=line.dots, in_readout=line.in_readout)


def _axis(low: float, high: float) -> tuple[float, float, list[float]]:
    """A round range around the values, and its ticks."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return first * step, last * step, [n * step for n in range(first, last + 1)]


def _grid(frame: _Frame, ticks: Sequence[float]) -> Markup:
    steps = _axis(frame.left, frame.right)[2]
    labels = [
        Markup('<text class="x" x="{:.3f}%" y="100%" dy="18">{}</text>').format(frame.x(step), wording.compact(step))
        for step in steps
        if frame.left <= step <= frame.right and float(step).is_integer()
    ]
    return Markup("").join([_y_grid(frame, ticks), *labels])


def _y_grid(frame: _Frame, ticks: Sequence[float]) -> Markup:
    return Markup("").join(
        Markup(
            '<line class="grid" x2="100%" y1="{0:.3f}%" y2="{0:.3f}%"/>'
            '<text class="y" x="-8" y="{0:.3f}%" dy="4">{1}</text>'
        ).format(frame.y(tick), _tick(tick))
        for tick in ticks
    )


def _tick(value: float) -> str:
    if abs(value) >= 1e3:
        return wording.compact(value)
    return f"{value:.3g}".replace("e-0", "e-") if value else "0"


def _lines(frame: _Frame, series: Sequence[Series]) -> Markup:
    """All lines in a stretched box of their own: their strokes do not stretch with it."""
    paths = [
        Markup('<path class="line {}" d="M{}"/>').format(
            line.kind, "L".join(f"{frame.x(x) * 10:.1f} {frame.y(y) * 10:.1f}" for x, y in line.points)
        )
        for line in series
        if line.points
    ]
    return Markup('<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%">{}</svg>').format(
        Markup("").join(paths)
    )


def _level(frame: _Frame, level: Level) -> Markup:
    return Markup(
        '<line class="level" x2="100%" y1="{0:.3f}%" y2="{0:.3f}%"/>'
        '<text class="note start" x="2%" y="{0:.3f}%" dy="-6">{1} {2}</text>'
    ).format(frame.y(level.value), level.name, wording.figure(level.value))


def _dots(frame: _Frame, line: Series) -> Markup:
    return Markup("").join(
        Markup('<circle class="dot {}" cx="{:.3f}%" cy="{:.3f}%" r="3.5"/>').format(line.kind, frame.x(x), frame.y(y))
        for x, y in line.points
    )


def _ring(frame: _Frame, point: Point, name: str) -> Markup:
    x, y = frame.x(point[0]), frame.y(point[1])
    anchor = "end" if x > 70 else "start" if x < 30 else "middle"
    return Markup(
        '<circle class="ring" cx="{0:.3f}%" cy="{1:.3f}%" r="8"/>'
        '<text class="note strong {2}" x="{0:.3f}%" y="{1:.3f}%" dy="26">{3}</text>'
    ).format(x, y, anchor, name)


def _read(frame: _Frame, point: Point) -> list[str | float]:
    """A point for the readout: place in percent, then what to say."""
    x, y = point
    return [round(frame.x(x), 2), round(frame.y(y), 2), wording.count(x), wording.figure(y)]
