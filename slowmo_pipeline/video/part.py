"""A part of a clip: which frames it takes, and from where they are decoded.

    asked for           |-----------|
    frames        0   1   2   3   4   5   6      frame 1 is the last one up to its begin, frame 5 the first one from its
    taken             1   2   3   4   5          end on: motion runs from the one and towards the other

Where the container tells the times of all its packets, decoding begins at a key frame before the part; else at the
clip's begin. The frames are the same.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
from av.video.frame import VideoFrame

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import Losses, TimedPicture, longest_pause, time_base, timed_pictures
from slowmo_pipeline.video.starts import NoStartError, Start, packets_from, start_for, tells_times

Moment = Fraction | int
"""Seconds after the clip's first frame as a fraction, or the number of a frame as an integer."""


@dataclass(frozen=True)
class Asked:
    """The part of a clip that is asked for; None stands for the clip's own begin and end."""

    begin: Moment | None = None
    end: Moment | None = None

    @classmethod
    def parse(cls, begin: str | None, end: str | None) -> "Asked":
        """The part that two texts name: `f120` for a frame, `16/5` for seconds."""
        return cls(_moment(begin), _moment(end))

    @property
    def texts(self) -> tuple[str | None, str | None]:
        """What `parse` takes for it."""
        return _text(self.begin), _text(self.end)


WHOLE = Asked()
"""All of a clip."""


def _moment(text: str | None) -> Moment | None:
    if text is None:
        return None
    return int(text[1:]) if text.startswith("f") else Fraction(text)


def _text(moment: Moment | None) -> str | None:
    if moment is None:
        return None
    return f"f{moment}" if isinstance(moment, int) else str(moment)


@dataclass(frozen=True)
class SoughtFrame:
    """A frame that decoding need not count up to."""

    start: Start
    number: int
    """In the clip."""
    tick: int
    first_tick: int
    """Of the clip's first frame."""
    usual_gap: int
    """Ticks between most neighbouring frames of the clip."""


@dataclass
class Part:
    """The pictures of a part, to be iterated once; afterwards it is known where it lies."""

    video: OpenVideo
    asked: Asked
    sought: SoughtFrame | None = None
    losses: Losses = field(default_factory=Losses)
    first_frame: int = 0
    """Number in the clip of the first picture."""
    clip_tick: int = 0
    """The tick of the clip's first frame."""
    _ticks: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[TimedPicture]:
        """Yield the pictures. Raises SettingsError where the clip ends before the part begins."""
        begin, end = self.asked.begin, self.asked.end
        before: TimedPicture | None = None
        for number, found in self._numbered():
            if begin is not None and self._distance(number, found.tick, begin) <= 0:
                before, self.first_frame = found, number
                self.losses.forget()
                continue
            if before is not None:
                yield before
                before = None
            yield found
            if end is not None and self._distance(number, found.tick, end) >= 0:
                return
        if before is not None:
            self._require_within(before)
            yield before

    def record(self) -> dict[str, object] | None:
        """What is known of it then, as the JSON of a `ClipPart`."""
        return _part_record(
            self.asked,
            first_frame=self.first_frame,
            clip_tick=self.clip_tick,
            usual_gap=self.sought.usual_gap if self.sought else _usual_gap(self._ticks),
            start=self._start,
        )

    def again(self, first_tick: int, count: int) -> Iterator[VideoFrame]:
        """Decode its pictures once more, when it is known which they are."""
        with open_video(self.video.path, max_pixels=self.video.stream.width * self.video.stream.height) as video:
            found = pictures_from(video, first_frame=self.first_frame, start=self._start, tick=first_tick)
            yield from (each.picture for each in islice(found, count))

    @property
    def _start(self) -> Sequence[int]:
        return self.sought.start if self.sought else ()

    def _numbered(self) -> Iterator[tuple[int, TimedPicture]]:
        if self.sought is not None:
            self.clip_tick = self.sought.first_tick
            found_there = sought_pictures(self.video, self.losses, self.sought.start, self.sought.tick)
            yield from enumerate(found_there, self.sought.number)
            return
        for number, found in enumerate(timed_pictures(self.video, self.losses)):
            self._ticks.append(found.tick)
            self.clip_tick = self._ticks[0]
            yield number, found

    def _distance(self, number: int, tick: int, moment: Moment) -> Fraction:
        """How far a picture lies behind a moment, in frames or in seconds."""
        if isinstance(moment, int):
            return Fraction(number - moment)
        return (tick - self.clip_tick) * time_base(self.video) - moment

    def _require_within(self, last: TimedPicture) -> None:
        begin = self.asked.begin
        end = (last.tick + max(last.picture.duration, 1) - self.clip_tick) * time_base(self.video)
        if begin is not None and (self.first_frame < begin if isinstance(begin, int) else end <= begin):
            told = f"frame {begin}" if isinstance(begin, int) else f"{float(begin):g} s"
            raise SettingsError(
                f"from = {told} lies behind the end of {self.video.name}: its last frame is frame {self.first_frame}, "
                f"and ends at {float(end):.6g} s."
            )


def _part_record(
    asked: Asked, *, first_frame: int, clip_tick: int, usual_gap: int, start: Sequence[int] = ()
) -> dict[str, object] | None:
    """The JSON of a `ClipPart`; None for all of a clip."""
    if asked == WHOLE:
        return None
    begin, end = asked.texts
    return {
        "begin": begin,
        "end": end,
        "first_frame": first_frame,
        "clip_tick": clip_tick,
        "usual_gap": usual_gap,
        "start": list(start),
    }


def sought_pictures(video: OpenVideo, losses: Losses, start: Start, tick: int) -> Iterator[TimedPicture]:
    """The pictures from a tick on, decoded from a key frame before it."""
    for found in timed_pictures(video, losses, packets_from(video, start)):
        if found.tick >= tick:
            yield found
        else:
            losses.forget()


def pictures_from(video: OpenVideo, *, first_frame: int, start: Sequence[int], tick: int) -> Iterator[TimedPicture]:
    """The pictures of a clip from one on, as a look has found it: its number, where decoding begins, and its tick."""
    if start:
        return sought_pictures(video, Losses(), Start(*start), tick)
    return islice(timed_pictures(video, Losses()), first_frame, None)


def frames_told(video: OpenVideo, asked: Asked, first: TimedPicture) -> tuple[list[int], int, dict[str, object] | None]:
    """What packets alone tell of a part, but for the first picture that decodes.

    The ticks of its frames, for how many ticks the last one is shown, 0 where nothing tells, and the JSON of a
    `ClipPart`. Raises NoStartError where they do not tell it surely.
    """
    if not tells_times(video.demuxer):
        raise NoStartError
    shown = _shown(video, first)
    ticks = [tick for tick, _ in shown]
    base = time_base(video)
    begin = 0 if asked.begin is None else _frame_at(ticks, asked.begin, base)
    end = len(ticks) if asked.end is None else _first_from(ticks, asked.end, base) + 1
    last_duration = shown[-1][1] if end >= len(ticks) else ticks[end] - ticks[end - 1]
    part = _part_record(asked, first_frame=begin, clip_tick=ticks[0], usual_gap=_usual_gap(ticks))
    return ticks[begin:end], last_duration, part


def seek_frame(path: Path, asked: Asked, *, max_pixels: int) -> SoughtFrame | None:
    """Where the first frame of a part lies, by the times of all packets; None where they do not tell it surely."""
    if asked.begin is None:
        return None
    with open_video(path, max_pixels=max_pixels) as video:
        if not tells_times(video.demuxer):
            return None
        first = next(timed_pictures(video, Losses()), None)
    with open_video(path, max_pixels=max_pixels) as video:
        try:
            ticks = [tick for tick, _ in _shown(video, first)]
            number = _frame_at(ticks, asked.begin, time_base(video))
            start = start_for(video, ticks[number], first=ticks[0])
            found = next(sought_pictures(video, Losses(), start, ticks[number]), None)
        except (NoStartError, av.FFmpegError):
            return None
    if found is None or found.tick != ticks[number]:
        return None
    return SoughtFrame(start, number, ticks[number], ticks[0], _usual_gap(ticks))


def _shown(video: OpenVideo, first: TimedPicture | None) -> list[tuple[int, int]]:
    """When frames are shown, ascending, and for how long.

    A recording that was cut may begin with pictures that refer to others before them: none decodes before `first`.
    Raises NoStartError where a packet does not tell, or the clock jumps.
    """
    shown: list[tuple[int, int]] = []
    previous: int | None = None
    longest = longest_pause(video)
    for packet in video.container.demux(video.stream):
        if packet.size == 0 or packet.is_discard:
            continue
        if packet.pts is None or packet.is_corrupt:
            raise NoStartError
        # libavformat does not guess those of Matroska's first pictures, where others are shown before them.
        if previous is not None and (packet.dts is None or not 0 < packet.dts - previous <= longest):
            raise NoStartError
        previous = packet.dts
        shown.append((packet.pts, packet.duration or 0))
    ticks = {tick for tick, _ in shown}
    if first is None or first.tick not in ticks or len(ticks) < len(shown):
        raise NoStartError
    return sorted(each for each in shown if each[0] >= first.tick)


def _frame_at(ticks: list[int], moment: Moment, time_base: Fraction) -> int:
    """The last frame up to a moment."""
    if isinstance(moment, int):
        return min(moment, len(ticks) - 1)
    return bisect_right(ticks, ticks[0] + moment // time_base) - 1


def _first_from(ticks: list[int], moment: Moment, time_base: Fraction) -> int:
    """The first frame from a moment on, else the last one."""
    number = moment if isinstance(moment, int) else bisect_left(ticks, ticks[0] + math.ceil(moment / time_base))
    return min(number, len(ticks) - 1)


def _usual_gap(ticks: list[int]) -> int:
    gaps = sorted(after - before for before, after in pairwise(ticks))
    return gaps[len(gaps) // 2] if gaps else 1
