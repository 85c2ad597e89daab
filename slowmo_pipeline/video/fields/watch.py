"""A cheap look at pictures while they are decoded for the first time: may they be interlaced or telecined?

Most videos are neither and shall not pay for it. So a few pictures in a row are looked at from time to time, by the
filter `idet` on parts of them, which says of each whether its top or its bottom field looks older. Where pictures are
whole, neither does more often than the other. A suspicion only leads to a second, thorough look.
"""

from collections import Counter
from fractions import Fraction

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

_EVERY, _IN_A_ROW = 120, 12
"""Pictures: of so many, so many are looked at."""

_PARTS = 2
"""Of a picture, in either direction: what moves in a corner of a still picture counts there."""

_LEAST_SIDE = 48
"""Pixels. No camera or broadcaster made anything interlaced that is smaller."""

_OLDER = 1.1
"""How many times better one field must fit the picture before, to be the older one."""

_LEAD, _SHARE = 4, 0.15
"""By how many verdicts one field must be the older one more often, and by which part of those that are decided."""


class Watch:
    """Sees the pictures of one video, in order."""

    def __init__(self, *, looks: bool) -> None:
        """Without looks it only hears what pictures say of themselves."""
        self._looks = looks
        self.flagged = False
        """Whether a picture says of itself that it is interlaced."""
        self._combed = False
        self._verdicts: Counter[str] = Counter()
        self._idet: _Idet | None = None

    @property
    def suspects(self) -> bool:
        """Whether fields may show moments of their own."""
        return self.flagged or self._combed

    def see(self, number: int, picture: VideoFrame) -> None:
        """Look at a picture, or do not."""
        if min(picture.width, picture.height) < _LEAST_SIDE:
            return
        self.flagged |= picture.interlaced_frame
        place = number % _EVERY
        is_rgb = picture.format.is_rgb or picture.format.has_palette
        if not self._looks or self.suspects or place >= _IN_A_ROW or is_rgb:
            return
        if self._idet is None or self._idet.pixel_format != picture.format.name:
            self._idet = _Idet(picture)
        self._verdicts.update(self._idet.verdicts(picture))
        if place + 1 == _IN_A_ROW:
            top, bottom = self._verdicts["tff"], self._verdicts["bff"]
            lead, decided = abs(top - bottom), top + bottom + self._verdicts["progressive"]
            self._combed = lead >= max(_LEAD, _SHARE * decided)
            # What was seen long ago counts less and less.
            self._verdicts = Counter({verdict: count // 2 for verdict, count in self._verdicts.items()})


class _Idet:
    """One filter for each part of the picture."""

    def __init__(self, picture: VideoFrame) -> None:
        self.pixel_format = picture.format.name
        # Kept: filters do not keep their graph alive.
        self._graph = graph = Graph()
        self._source = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1)
        )
        split = graph.add("split", str(_PARTS**2))
        self._source.link_to(split)
        self._sinks: list[FilterContext] = []
        self._told = [0] * _PARTS**2
        for part in range(_PARTS**2):
            row, column = divmod(part, _PARTS)
            crop = graph.add("crop", f"iw/{_PARTS}:ih/{_PARTS}:iw*{column}/{_PARTS}:ih*{row}/{_PARTS}")
            sink = graph.add("buffersink")
            split.link_to(crop, part)
            graph.link_nodes(crop, graph.add("idet", f"intl_thres={_OLDER}"), sink)
            self._sinks.append(sink)
        graph.configure()

    def verdicts(self, picture: VideoFrame) -> list[str]:
        """Push a picture, and return what is known by now of pictures before: one verdict for each part."""
        self._source.push(picture)
        found: list[str] = []
        for part, sink in enumerate(self._sinks):
            while (told := _pulled(sink)) is not None:
                # The first and the last of those in a row are compared with pictures that are not beside them.
                if 0 < self._told[part] % _IN_A_ROW < _IN_A_ROW - 1:
                    found.append(told.metadata["lavfi.idet.single.current_frame"])
                self._told[part] += 1
        return found


def _pulled(sink: FilterContext) -> VideoFrame | None:
    try:
        frame = sink.pull()
    except av.BlockingIOError:
        return None
    return frame if isinstance(frame, VideoFrame) else None
