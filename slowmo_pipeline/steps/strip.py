"""The plan as a strip, for people: along the result, what its frames are, why some repeat, and how fast it plays.

speed      ______            ______
                 \\__________/
frames     |||||||||||||||||||||||||||    originals, new ones and repeated ones, a share of each column
marks             ^cut 87        ^still
"""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from html import escape
from itertools import groupby

from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.planning.track import STILL
from slowmo_pipeline.steps.planning import CUT, held_intervals
from slowmo_pipeline.video.info import VideoInfo

KINDS = ("original", "new", "repeated")

_WIDTH, _SPEED_HEIGHT, _BAR_HEIGHT = 960, 44, 56
_SINGLE, _COLUMNS = 500, 160
"""So many frames are drawn one by one; of more, what share of a column is of which kind."""

_MARKS = 200
"""Most marks that are drawn: more would be a hedge."""

_STYLE = (
    "<style>.original{fill:var(--original,#2b6cb0)}.new{fill:var(--new,#9ccbe8)}.repeated{fill:var(--repeated,#c9c9c9)}"
    ".cut{stroke:var(--cut,#c53030)}.hold{stroke:var(--hold,#8a8a8a)}.speed{fill:none;stroke:var(--speed,#6b46c1);"
    "stroke-width:2}text{font:12px system-ui,sans-serif;fill:currentColor}</style>"
)


def plan_strip(timeline: TimeLine, info: VideoInfo) -> str:
    """The strip as SVG, for a page to hold."""
    has_speeds = not timeline.warp.is_even
    top = _SPEED_HEIGHT + 8 if has_speeds else 0
    parts = [_STYLE, *_bars(timeline, top), *_marks(timeline, info, top), *_axis(timeline, top)]
    if has_speeds:
        parts.append(_speed_line(timeline))
    height = top + _BAR_HEIGHT + 20
    label = "What the frames of the result are, from its begin to its end"
    return (
        f'<svg class="strip" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {height}" '
        f'shape-rendering="crispEdges">{"".join(parts)}</svg>'
    )


def kinds_of(timeline: TimeLine) -> dict[str, int]:
    """How many frames of the result are of each kind."""
    counts = dict.fromkeys(KINDS, 0)
    for _, kind, outputs in _runs(timeline):
        counts[kind] += len(outputs)
    return counts


def strip_caption(timeline: TimeLine) -> str:
    """What the strip shows, in words."""
    counts, reasons = kinds_of(timeline), Counter(timeline.track.repeats.values())
    told = (
        f"Dark: {counts['original']} frames of the clip. Light: {counts['new']} new ones. Grey: {counts['repeated']} "
    )
    held = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
    return f"{told}that repeat the one before{f' ({held}; marks tell where)' if held else ''}."


def _runs(timeline: TimeLine) -> Iterator[tuple[int, str, range]]:
    """The outputs from each anchor on, parted by kind."""
    frames = timeline.track.frames
    for anchor in range(timeline.track.count):
        outputs, new = timeline.outputs_of(anchor), timeline.new_outputs_of(anchor)
        own = outputs[: len(outputs) - len(new)]
        # A frame is shown once as itself; what follows repeats it, and so does the second anchor of a still.
        again = anchor > 0 and frames[anchor - 1] == frames[anchor]
        yield anchor, "original", own[: 0 if again else 1]
        yield anchor, "repeated", own[0 if again else 1 :]
        yield anchor, "new", new


def _bars(timeline: TimeLine, top: int) -> Iterator[str]:
    count = timeline.output_count
    if count <= _SINGLE:
        for kind, outputs in _joined(timeline):
            yield _bar(kind, outputs.start / count, top, len(outputs) / count, _BAR_HEIGHT)
        return
    per_column = -(-count // _COLUMNS)
    shares = [dict.fromkeys(KINDS, 0) for _ in range(-(-count // per_column))]
    for _, kind, outputs in _runs(timeline):
        for column in range(outputs.start // per_column, -(-outputs.stop // per_column) if outputs else 0):
            begin, end = column * per_column, (column + 1) * per_column
            shares[column][kind] += min(outputs.stop, end) - max(outputs.start, begin)
    for column, share in enumerate(shares):
        y = float(top)
        for kind in KINDS:
            height = _BAR_HEIGHT * share[kind] / sum(share.values())
            if height:
                yield _bar(kind, column / len(shares), y, 1 / len(shares), height)
            y += height


def _joined(timeline: TimeLine) -> Iterator[tuple[str, range]]:
    """Runs of one kind, as long as they get."""
    for kind, runs in groupby((run for run in _runs(timeline) if run[2]), key=lambda run: run[1]):
        ranges = [outputs for _, _, outputs in runs]
        yield kind, range(ranges[0].start, ranges[-1].stop)


def _bar(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x * _WIDTH:.2f}" y="{y:.1f}" width="{width * _WIDTH:.2f}" height="{height:.1f}"/>'


def _marks(timeline: TimeLine, info: VideoInfo, top: int) -> Iterator[str]:
    held = list(held_intervals(info, timeline))
    for each in held[:: max(len(held) // _MARKS, 1)]:
        # A cut is where the next shot begins, a still lasts from its frame on.
        output = each.outputs.start if each.reason == STILL else each.outputs.stop
        if not 0 < output < timeline.output_count:
            continue
        told = f"{each.reason} after frame {each.frame}" + ("" if each.score is None else f", score {each.score:g}")
        x = _WIDTH * output / timeline.output_count
        kind = "cut" if each.reason == CUT else "hold"
        yield (
            f'<line class="{kind}" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + _BAR_HEIGHT}" stroke-width="2">'
            f"<title>{escape(told)}</title></line>"
        )


def _axis(timeline: TimeLine, top: int) -> Iterator[str]:
    y = top + _BAR_HEIGHT + 15
    for share, anchor in ((0, "start"), (Fraction(1, 2), "middle"), (1, "end")):
        seconds = float(timeline.duration * share)
        yield f'<text x="{float(_WIDTH * share):g}" y="{y}" text-anchor="{anchor}">{seconds:.2f} s</text>'


def _speed_line(timeline: TimeLine) -> str:
    points = []
    for segment in timeline.warp.segments:
        for output, speed in (
            (segment.output, segment.begin_speed),
            (segment.output + segment.duration, segment.end_speed),
        ):
            x, y = _WIDTH * output / timeline.warp.duration, _SPEED_HEIGHT - (_SPEED_HEIGHT - 4) * speed
            points.append(f"{float(x):.1f},{float(y):.1f}")
    line = f'<polyline class="speed" shape-rendering="auto" points="{" ".join(points)}">'
    return f"{line}<title>speed, 1 at the top</title></polyline>"
