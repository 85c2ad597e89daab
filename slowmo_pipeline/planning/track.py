"""The track: which frame of the source stands at which moment, and what is shown in between.

plain         0---1---2---3---|      anchors; an interval (---) is interpolated, the last frame stands until the end
a cut         0---1===2---3---|      === repeats the frame before it; so does a jump of the time stamps
a still       0---1=======1---2      a second anchor of frame 1, a usual gap before frame 2: motion begins there
a duplicate   0---1-------3---|      frame 2 shows frame 1 once more: its anchor is left out, motion runs across
a hole        0---1-------3---|      what is missing has no number: frames 0, 1, 2 stand at 0, 1 and 3
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from slowmo_pipeline.planning.clock import FrameTimes

STILL = "still"
"""The reason of an interval in which nothing was recorded for longer than usual."""


@dataclass(frozen=True)
class Track:
    """Frames of a source as anchors on its time line. Interval k lies between anchors k and k + 1."""

    times: FrameTimes
    """Of the anchors, not of the frames."""
    frames: Sequence[int]
    """The frame at each anchor: ascending, and twice where a still is held; a range where every frame has one."""
    repeats: Mapping[int, str]
    """Intervals that repeat their first frame, each with the reason; all others are interpolated."""

    @property
    def count(self) -> int:
        """Number of anchors, at least 1."""
        return len(self.frames)

    @property
    def duration(self) -> Fraction:
        """Seconds, the last frame's own time included."""
        return self.times.end * self.times.time_base

    @property
    def tolerance(self) -> Fraction:
        """Seconds by which the container may have rounded a time."""
        return self.times.rounding * self.times.time_base

    @property
    def shows_all(self) -> bool:
        """Whether every frame has one anchor."""
        return isinstance(self.frames, range)

    @property
    def is_plain(self) -> bool:
        """Whether every frame has one anchor, and every interval is interpolated."""
        return self.shows_all and not self.repeats

    def time(self, anchor: int) -> Fraction:
        """Presentation time of an anchor, in seconds after the first."""
        return self.times.ticks[anchor] * self.times.time_base

    def anchors_of(self, frame: int) -> range:
        """The anchors at which a frame stands: one; two if it is held; none for a duplicate that is left out."""
        return range(bisect_left(self.frames, frame), bisect_right(self.frames, frame))

    def frames_between(self, first: int, last: int) -> Sequence[int]:
        """The frames that stand at anchors `first` to `last`, which is included, each once."""
        frames = self.frames[first : last + 1]
        return frames if isinstance(frames, range) else sorted(set(frames))


def plain_track(times: FrameTimes) -> Track:
    """Each frame at its time, every interval interpolated."""
    return Track(times, range(len(times.ticks)), {})


def make_track(
    times: FrameTimes, *, broken: Mapping[int, str], duplicates: Collection[int], longest_gap: Fraction
) -> Track:
    """The track of a source.

    `broken` names the gaps between neighbouring frames across which nothing moves, by the number of the frame before
    them, each with its reason. `duplicates` are frames that show the one before them once more; the first frame is
    none. An interval of more than `longest_gap` usual gaps holds its frame and is interpolated over the last usual gap.
    """
    usual = times.usual_gap
    shown = [frame for frame in range(len(times.ticks)) if frame == 0 or frame not in duplicates]
    ticks: list[int] = []
    frames: list[int] = []
    repeats: dict[int, str] = {}
    for frame, following in zip(shown, [*shown[1:], None], strict=True):
        ticks.append(times.ticks[frame])
        frames.append(frame)
        if following is None:
            break
        reason = next((broken[gap] for gap in range(frame, following) if gap in broken), None)
        length = times.ticks[following] - times.ticks[frame]
        if reason is not None:
            repeats[len(frames) - 1] = reason
        elif length > longest_gap * usual and following - frame == 1:
            repeats[len(frames) - 1] = STILL
            ticks.append(times.ticks[following] - usual)
            frames.append(frame)
    if len(shown) == len(times.ticks) == len(frames):
        return Track(times, range(len(frames)), repeats)
    return Track(replace(times, ticks=tuple(ticks)), tuple(frames), repeats)
