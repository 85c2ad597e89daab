"""From pictures to the frames that their fields make: whole ones as they are, others woven or deinterlaced."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from typing import NamedTuple

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from slowmo_pipeline.video.fields.cadence import INTERLACED, Run, lengths
from slowmo_pipeline.video.planes import samples_of


class OtherPicturesError(Exception):
    """There are more pictures, or fewer, than have these fields."""


class _Picture(NamedTuple):
    whole: VideoFrame
    halves: tuple[VideoFrame, ...]
    """A frame of each of its fields, the earlier one first; or none, if there is no need for them."""


def frames_of(pictures: Iterable[VideoFrame], runs: Sequence[Run], *, top_first: bool) -> Iterator[VideoFrame]:
    """Yield a frame for each group of fields, which the runs tell. Raises OtherPicturesError at the end.

    A group that has a picture's two fields is that picture. Fields that are alone become frames by `bwdif`: it keeps
    their lines, and fills in those between from the same field and those before and after.
    """
    left = lengths(runs)
    begin, length = 0, next(left, 0)
    last = -1
    for last, (picture, following) in enumerate(pairwise(chain(_prepared(pictures, runs, top_first), (None,)))):
        while length and begin // 2 == last and picture is not None:
            yield _frame(begin % 2, length, picture, following or picture, top_first=top_first)
            begin, length = begin + length, next(left, 0)
    # The last group may be cut short.
    if length or not 0 <= begin - 2 * (last + 1) < 2:
        raise OtherPicturesError


def _frame(place: int, length: int, picture: _Picture, following: _Picture, *, top_first: bool) -> VideoFrame:
    """The frame of fields that begin with the first (0) or the second (1) one of a picture."""
    if length == 1:
        return picture.halves[place]
    if place == 0:
        return picture.whole
    if length > 2:
        return following.whole
    early, late = picture.whole, following.whole
    return _woven(top=late, bottom=early) if top_first else _woven(top=early, bottom=late)


def _prepared(pictures: Iterable[VideoFrame], runs: Sequence[Run], top_first: bool) -> Iterator[_Picture]:
    if any(INTERLACED in run.cadence for run in runs):
        yield from _deinterlaced(pictures, top_first=top_first)
    else:
        yield from (_Picture(picture, ()) for picture in pictures)


def _woven(*, top: VideoFrame, bottom: VideoFrame) -> VideoFrame:
    """Every second line of one picture, beginning with the first, and the others of another."""
    woven = VideoFrame(top.width, top.height, top.format.name)
    woven.colorspace, woven.color_range = top.colorspace, top.color_range
    for target, even, odd in zip(woven.planes, top.planes, bottom.planes, strict=True):
        width = min(abs(plane.line_size) for plane in (target, even, odd))
        lines = samples_of(target)
        lines[0::2, :width] = samples_of(even)[0::2, :width]
        lines[1::2, :width] = samples_of(odd)[1::2, :width]
    return woven


def _deinterlaced(pictures: Iterable[VideoFrame], *, top_first: bool) -> Iterator[_Picture]:
    graph: Graph | None = None
    waiting: deque[VideoFrame] = deque()
    for number, picture in enumerate(pictures):
        if graph is None:
            graph = _bwdif(picture, top_first=top_first)
        # Filters know no other time than the frames' own, and some containers have none.
        picture.pts = number
        graph.push(picture)
        waiting.append(picture)
        yield from _finished(graph, waiting)
    if graph is not None:
        graph.push(None)
        yield from _finished(graph, waiting)


def _bwdif(picture: VideoFrame, *, top_first: bool) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1))
    parity = "tff" if top_first else "bff"
    bwdif = graph.add("bwdif", f"mode=send_field:parity={parity}:deint=all")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph


def _finished(graph: Graph, waiting: deque[VideoFrame]) -> Iterator[_Picture]:
    """What is finished of the pictures that wait: two frames each."""
    while True:
        try:
            halves = graph.vpull(), graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield _Picture(waiting.popleft(), halves)
