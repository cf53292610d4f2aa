"""A picture of one device: readings, what was expected, scores, alarms and incidents."""

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eddyline.pipeline.explain.course import Course

WIDTH = 960
"""Pixels of a panel."""
ENDINGS = (".html", ".svg", ".png")
FEW = 2 * WIDTH
"""So many readings are drawn one by one; of more each pixel gets its least and its most."""
GAP = 5
"""A line is broken where nothing came for so many usual steps."""
MOST_MARKS = 800
HIGHEST = 4.0
"""Times the highest threshold: scores above leave the panel, else one spike flattens the rest."""
AROUND = 30
"""Readings to either side that a band is the median over."""
BREAK = "break-paths-filter-domains"
BLUE, BAND, RED, GREY, ORANGE = "#1f4e79", "#9ecae1", "#d62728", "#666666", "#e08214"
SEVERITY = {"info": "#9ecae1", "warning": "#fdae61", "error": "#e34a33", "critical": "#7f0000"}
SCORES = (ORANGE, "#5e3c99", GREY)
Rows = list[dict[str, Any]]


def draw(course: Course, to: Path) -> None:
    """Write the picture of a course.

    Args:
        course: What to draw.
        to: `.html` (everything in the one file; zooms and tells what is under the pointer), `.svg`
            or `.png`.

    Raises:
        ValueError: There is nothing to draw, the name has another ending, or what draws is not
            installed.
    """
    if to.suffix not in ENDINGS:
        raise ValueError(f"--out: a name that ends in {', '.join(ENDINGS)}, not {to.name!r}")
    if not len(course.time):
        raise ValueError(f"{course.device!r} has no readings there")
    alt, convert = _installed()
    spec = picture_of(course)
    version = "_".join(alt.SCHEMA_VERSION.split(".")[:2])
    if to.suffix == ".html":
        page = convert.vegalite_to_html(spec, vl_version=version, bundle=True)
        to.write_text(page, encoding="utf-8")
    elif to.suffix == ".svg":
        to.write_text(convert.vegalite_to_svg(spec, vl_version=version), encoding="utf-8")
    else:
        to.write_bytes(convert.vegalite_to_png(spec, vl_version=version, scale=1.5))


def picture_of(course: Course) -> dict[str, Any]:
    """The picture as a Vega-Lite specification with its data.

    Raises:
        ValueError: altair or vl-convert is not installed.
    """
    alt, _ = _installed()
    pen = Pen(alt, course)
    panels = [_channel(pen, course, c) for c in range(len(course.channels))]
    panels.append(_scores(pen, course))
    if course.troubles:
        panels.append(_troubles(pen, course))
    joined = alt.vconcat(*panels, spacing=12).resolve_scale(x="shared", color="independent")
    with warnings.catch_warnings():
        # One zoom for all panels is what is wanted, and what it warns of.
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        joined = joined.add_params(alt.selection_interval(bind="scales", encodings=["x"]))
    chart = (
        joined.properties(title=_title(alt, course))
        .configure(font="Helvetica, Arial, sans-serif")
        .configure_view(stroke="#cccccc")
        .configure_axis(labelFontSize=11, titleFontSize=11, gridColor="#eeeeee", domain=False)
        .configure_legend(labelFontSize=11, titleFontSize=11, orient="right", offset=8)
    )
    return {**chart.to_dict(), "datasets": pen.datasets}


def _installed() -> tuple[Any, Any]:
    try:
        import altair as alt
        import vl_convert  # makes the file, without a browser
    except ImportError as error:
        raise ValueError(
            "a picture needs altair and vl-convert-python: pip install 'eddyline[report]'"
        ) from error
    return alt, vl_convert


class Pen:
    """What all panels of a picture share: its axis of time, and its data.

    Data stays outside of the chart until the end: altair would check every row against the schema
    of all charts, which takes longer than everything else.
    """

    def __init__(self, alt: Any, course: Course) -> None:
        self.alt = alt
        self.datasets: dict[str, Rows] = {}
        self.start, self.end = _ms(course.time[0]), _ms(course.until or course.time[-1])
        if self.start == self.end:
            self.end += 1000.0
        days = (self.end - self.start) / 86_400_000
        form = "%H:%M" if days <= 1.5 else "%a %d, %H:%M" if days <= 10 else "%Y-%m-%d"
        self.x = alt.X(
            "time:T",
            title=None,
            scale=alt.Scale(type="utc", domain=[self.start, self.end], nice=False),
            axis=alt.Axis(format=form, labelOverlap=True, tickCount=8),
        )

    def chart(self, rows: Rows) -> Any:
        """A chart of these rows."""
        name = f"data{len(self.datasets)}"
        self.datasets[name] = rows
        return self.alt.Chart(self.alt.NamedData(name))


def _title(alt: Any, course: Course) -> Any:
    first, last = (datetime.fromtimestamp(t / 1e6, UTC) for t in course.time[[0, -1]].tolist())
    anomalies = int(course.anomaly.sum())
    words = [
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC",
        f"{len(course.time):,} readings",
        f"{anomalies:,} under alarm",
    ]
    return alt.TitleParams(
        course.device,
        subtitle=[", ".join(words), *course.notes],
        anchor="start",
        fontSize=18,
        subtitleFontSize=12,
        subtitleColor=GREY,
        offset=12,
    )


def _channel(pen: Pen, course: Course, c: int) -> Any:
    alt, channel, band = pen.alt, course.channels[c], course.bands[c]
    name = f"{channel.name} ({channel.unit})" if channel.unit else channel.name
    y = alt.Y("value:Q", title=name, scale=alt.Scale(zero=False, domain=_domain(course, c)))
    line = pen.chart(_line(course.time, course.values[:, c])).mark_line(
        color=BLUE, strokeWidth=1, clip=True, invalid=BREAK
    )
    layers = [line.encode(x=pen.x, y=y)]
    if rows := _band(course.time, band.low, band.high):
        area = pen.chart(rows).mark_area(color=BAND, opacity=0.45, clip=True, invalid=BREAK)
        layers.insert(0, area.encode(x=pen.x, y=alt.Y("low:Q", title=name), y2="high:Q"))
    if marks := _marks(course, c):
        points = pen.chart(marks).mark_circle(color=RED, size=22, clip=True)
        tooltip = [
            alt.Tooltip("at:N", title="UTC"),
            alt.Tooltip("value:Q", title=name),
            alt.Tooltip("expected:Q", format=".4~g"),
        ]
        opacity = alt.Opacity("opacity:Q", scale=None, legend=None)
        layers.append(points.encode(x=pen.x, y=y, opacity=opacity, tooltip=tooltip))
    return alt.layer(*layers).properties(width=WIDTH, height=130)


def _scores(pen: Pen, course: Course) -> Any:
    alt, names = pen.alt, list(course.scores)
    threshold = max(course.thresholds.values())
    most = max(map(_most, course.scores.values()))
    most = 1.25 * max(threshold, min(most, HIGHEST * threshold))
    least = min(0.0, *map(_least, course.scores.values()))
    y = alt.Y("value:Q", title="score", scale=alt.Scale(domain=[least, most or 1.0]))
    rows = [
        {**row, "score": name}
        for name, score in course.scores.items()
        for row in _line(course.time, score, peaks=True)
    ]
    colors = alt.Color(
        "score:N", title=None, scale=alt.Scale(domain=names, range=list(SCORES[: len(names)]))
    )
    line = pen.chart(rows).mark_line(strokeWidth=1, clip=True, invalid=BREAK)
    limits = pen.chart(
        [
            {"value": limit, "score": name, "text": f"{name} alarms from {limit:.3g}"}
            for name, limit in course.thresholds.items()
        ]
    )
    rule = limits.mark_rule(strokeDash=[5, 3]).encode(y=y, color=colors)
    text = limits.mark_text(align="left", baseline="bottom", dx=3, fontSize=10).encode(
        x=alt.value(0), y=y, text="text:N", color=colors
    )
    layers = [line.encode(x=pen.x, y=y, color=colors), rule, text]
    return alt.layer(*layers).properties(width=WIDTH, height=110)


def _troubles(pen: Pen, course: Course) -> Any:
    alt = pen.alt
    # A short one is still to be seen.
    least = (pen.end - pen.start) * 3 / WIDTH
    rows: Rows = []
    for trouble in course.troubles:
        start = max(_ms(trouble.start), pen.start)
        end = pen.end if trouble.end is None else min(_ms(trouble.end), pen.end)
        row = {
            "time": min(start, pen.end - least),
            "end": max(end, start + least),
            "kind": trouble.kind.replace("_", " "),
            "severity": trouble.severity,
            "since": _clock(trouble.start),
            "lasted": "still open" if trouble.end is None else _lasted(trouble.end - trouble.start),
            "why": trouble.sentence,
        }
        rows.append(row)
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    found = {row["severity"] for row in rows}
    used = [s for s in SEVERITY if s in found] + sorted(found - set(SEVERITY))
    colors = alt.Scale(domain=used, range=[SEVERITY.get(s, GREY) for s in used])
    bars = pen.chart(rows).mark_bar(height=12, cornerRadius=2, clip=True)
    names = ("kind", "severity", "since", "lasted", "why")
    return bars.encode(
        x=pen.x,
        x2="end:Q",
        y=alt.Y("kind:N", title=course.told, sort=kinds),
        color=alt.Color("severity:N", title=None, scale=colors),
        tooltip=[alt.Tooltip(f"{name}:N") for name in names],
    ).properties(width=WIDTH, height=22 * len(kinds) + 8)


def _domain(course: Course, c: int) -> list[float]:
    """All readings, and the band where it is not far wider than they are."""
    values = course.values[:, c]
    low, high = _least(values), _most(values)
    room = (high - low) or abs(high) * 0.01 or 1.0
    band = course.bands[c]
    low = min(low, max(_least(band.low), low - room)) - room * 0.04
    high = max(high, min(_most(band.high), high + room)) + room * 0.04
    return [low, high]


def _marks(course: Course, c: int) -> Rows:
    """Readings under alarm; of very many those at the ends of each pixel's values."""
    values, time = course.values[:, c], course.time
    at = np.flatnonzero(course.anomaly & ~np.isnan(values))
    if len(at) > MOST_MARKS:
        at = at[_ends(_pixel(time, time[at]), values[at])]
    expected, named = course.bands[c].expected, course.named
    return [
        {
            "time": _ms(time[row]),
            "at": _clock(int(time[row])),
            "value": float(values[row]),
            "expected": None if np.isnan(expected[row]) else float(expected[row]),
            # Another channel's alarm is only hinted at.
            "opacity": 0.9 if named[row] in (c, -1) else 0.12,
        }
        for row in at.tolist()
    ]


def _line(time: NDArray[np.int64], values: NDArray[np.float64], *, peaks: bool = False) -> Rows:
    """Points of a line: all of few, of many each pixel's least and most; null where it breaks.

    Args:
        time: Event times, µs.
        values: NaN where missing.
        peaks: Whether the most is enough.
    """
    there = np.flatnonzero(~np.isnan(values))
    kept = there
    if len(there) > FEW:
        kept = there[_ends(_pixel(time, time[there]), values[there], peaks=peaks)]
    rows: Rows = []
    last, longest = None, _longest_step(time, len(there))
    for t, v in zip(time[kept].tolist(), values[kept].tolist(), strict=True):
        if last is not None and t - last > longest:
            rows.append({"time": _ms((t + last) // 2), "value": None})
        rows.append({"time": _ms(t), "value": v})
        last = t
    return rows


def _band(time: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64]) -> Rows:
    """The band, of many readings one place a pixel; null where it breaks.

    A detector expects by the hour in one reading and by the level in the next, so what is drawn is
    the median over the readings around.
    """
    there = np.flatnonzero(~np.isnan(low) & ~np.isnan(high))
    if not len(there):
        return []
    kept = np.arange(len(there))
    if len(there) > FEW:
        kept = np.flatnonzero(np.diff(_pixel(time, time[there]), prepend=-1))
    low, high = (_smooth(end[there])[kept] for end in (low, high))
    rows: Rows = []
    last, longest = None, _longest_step(time, len(there))
    for t, a, b in zip(time[there][kept].tolist(), low.tolist(), high.tolist(), strict=True):
        if last is not None and t - last > longest:
            rows.append({"time": _ms((t + last) // 2), "low": None, "high": None})
        rows.append({"time": _ms(t), "low": a, "high": b})
        last = t
    return rows


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    around = min(AROUND, (len(values) - 1) // 2)
    padded = np.pad(values, around, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * around + 1)
    return np.median(windows, axis=1)


def _longest_step(time: NDArray[np.int64], shown: int) -> float:
    """Longest time between two places of one line, µs."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    return GAP * (max(step, float(time[-1] - time[0]) / WIDTH) if shown > FEW else step)


def _pixel(time: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.int64]:
    return (of - time[0]) * WIDTH // max(int(time[-1] - time[0]), 1)


def _ends(
    pixel: NDArray[np.int64], values: NDArray[np.float64], *, peaks: bool = False
) -> NDArray[np.int64]:
    """Indexes of the least and the most value of each pixel, in order.

    Examples:
        >>> _ends(np.array([0, 0, 0, 0, 1]), np.array([3.0, 1.0, 4.0, 1.5, 9.0])).tolist()
        [1, 2, 4]
    """
    order = np.lexsort((values, pixel))
    first = np.diff(pixel[order], prepend=-1) != 0
    last = np.append(first[1:], True)
    return np.unique(order[last] if peaks else np.append(order[first], order[last]))


def _least(values: NDArray[np.float64]) -> float:
    return float(np.nanmin(values)) if not np.isnan(values).all() else 0.0


def _most(values: NDArray[np.float64]) -> float:
    return float(np.nanmax(values)) if not np.isnan(values).all() else 0.0


def _ms(micros: Any) -> float:
    return int(micros) / 1000


def _clock(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _lasted(micros: int) -> str:
    minutes = micros / 60e6
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
