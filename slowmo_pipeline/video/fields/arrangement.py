"""What becomes of a video's fields: decided after its pictures were decoded once, by a second look where need be.

NumPy starts slower than the process that looks at uploads, so it is loaded for the second look alone.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.video.fields.cadence import FILM, INTERLACED, WHOLE, Pairs, Run, are_whole, grouped
from slowmo_pipeline.video.fields.order import Order, change_of_order, order_of
from slowmo_pipeline.video.fields.times import Times, is_pulled_down, times_of_frames
from slowmo_pipeline.video.fields.watch import Watch

if TYPE_CHECKING:
    from slowmo_pipeline.video.fields.combing import Combing

Handling = Literal["auto", "deinterlace", "match", "keep", "refuse"]
"""What shall become of interlaced and telecined videos."""

_MARKED, _UNMARKED = 0.02, 0.05
"""What it costs to part the fields of one picture, or join those of two, where any is marked as interlaced or none."""


_SAYINGS = 8
"""Pictures marked as interlaced that are asked for their order."""

KEPT = "The frames are interlaced and used as they are."
_NOT_COMBED = "Marked as interlaced, but not combed: the frames are used as they are."

_SPREAD = "Frames that were to be shown for three fields and two in turn: they follow each other evenly, as film does."


class Arrangement(NamedTuple):
    """How the pictures of a video become its frames, and when each is shown."""

    times: Times
    """Of the frames."""
    runs: list[Run] | None = None
    """Which fields make each frame; None where each picture is one, at its own time."""
    top_first: bool = True
    """Which field of a picture is the earlier one."""
    notes: tuple[str, ...] = ()
    """What a person should know of it, a sentence each."""


def arranged(
    name: str, pictures: Times, watch: Watch, handling: Handling, again: Callable[[], Iterable[VideoFrame]]
) -> Arrangement:
    """Decide what becomes of a video whose pictures `watch` has seen; `again` decodes them once more, if need be.

    Raises UnreadableVideoError for what the handling refuses, and for fields that cannot be told apart.
    """
    if handling == "keep":
        return Arrangement(pictures, notes=(KEPT,) if watch.flagged else ())
    count = len(pictures.ticks)
    order, runs = Order(True, False), [Run(WHOLE, count)]
    notes: tuple[str, ...] = ()
    if watch.suspects:
        order, runs = _looked_again(name, count, watch, handling, again)
        if not are_whole(runs) and handling == "refuse":
            raise UnreadableVideoError(
                f"{name} is {_kind(runs)}, which the setting interlaced refuses: set it to auto, or convert the file "
                "first."
            )
        if not are_whole(runs):
            notes = tuple(_notes(runs, order))
        elif watch.flagged:
            notes = (_NOT_COMBED,)
    if are_whole(runs):
        if not is_pulled_down(pictures):
            return Arrangement(pictures, notes=notes)
        notes = (*notes, _SPREAD)
    return Arrangement(times_of_frames(pictures, runs), runs, order.top_first, notes)


def _looked_again(
    name: str, count: int, watch: Watch, handling: Handling, again: Callable[[], Iterable[VideoFrame]]
) -> tuple[Order, list[Run]]:
    from slowmo_pipeline.video.fields.combing import measured

    marks = _Marks(name)
    combing = measured(marks.passing(again()))
    if len(combing.within) != count:
        raise UnreadableVideoError(
            f"{name} decodes to {count} pictures and then to {len(combing.within)}: convert it to H.264 first."
        )
    order = order_of(combing, marked=marks.top_first)
    runs = grouped(
        _pairs(combing, top_first=order.top_first),
        cadences=FILM if handling == "match" else (INTERLACED, *FILM),
        reluctance=_MARKED if watch.flagged else _UNMARKED,
    )
    if are_whole(runs) and marks.alternate:
        raise UnreadableVideoError(
            f"{name} holds each field as a picture of its own, as H.265 may: join them first, by ffmpeg's filter weave "
            "say, or set interlaced to keep."
        )
    if not are_whole(runs) and (place := change_of_order(combing)) is not None:
        raise UnreadableVideoError(
            f"{name} changes the order of its fields near picture {place}: split it there, or set interlaced to keep."
        )
    if handling == "deinterlace" and (watch.flagged or not are_whole(runs)):
        runs = [Run(INTERLACED, 2 * count)]
    return order, runs


def _pairs(combing: "Combing", *, top_first: bool) -> Pairs:
    if top_first:
        between, apart, far = combing.top, combing.bottom, combing.far_top
    else:
        between, apart, far = combing.bottom, combing.top, combing.far_bottom
    # Around a picture lie the one before it and the one after: `far` is told with the former.
    combed = [each for pair in zip(combing.within, between, strict=True) for each in pair]
    aparts = [each for pair in zip([0, *far[:-1]], apart, strict=True) for each in pair]
    return Pairs(combed[:-1], aparts[:-1])


class _Marks:
    """Sees what pictures say of themselves while they pass."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said: list[bool] = []

    @property
    def top_first(self) -> bool | None:
        """Which field is the earlier one; None where no picture is marked as interlaced."""
        return self._said[0] if self._said else None

    @property
    def alternate(self) -> bool:
        """Whether they say one and the other in turn, as pictures do that are fields."""
        return len(self._said) == _SAYINGS and all(one != other for one, other in pairwise(self._said))

    def passing(self, pictures: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """Let pictures pass. Raises UnreadableVideoError where their pixel format changes."""
        kind: str | None = None
        for number, picture in enumerate(pictures):
            if len(self._said) < _SAYINGS and picture.interlaced_frame:
                self._said.append(_says_top_first(picture))
            kind = kind or picture.format.name
            if picture.format.name != kind:
                raise UnreadableVideoError(
                    f"{self._name} changes from {kind} to {picture.format.name} at picture {number}: split it there."
                )
            yield picture


def _says_top_first(picture: VideoFrame) -> bool:
    """What a picture says that is marked as interlaced. PyAV does not tell, but a filter takes such pictures only."""
    graph = Graph()
    source = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1))
    graph.link_nodes(source, graph.add("select", "eq(interlace_type,TOPFIRST)"), graph.add("buffersink")).configure()
    graph.push(picture)
    graph.push(None)
    try:
        graph.pull()
    except av.EOFError:
        return False
    return True


def _shares(runs: list[Run]) -> tuple[int, int, int]:
    """How many groups are fields that stand alone, parts of telecined film, and pictures as they are."""
    alone, film, whole, begin = 0, 0, 0, 0
    for run in runs:
        if run.cadence == INTERLACED:
            alone += run.groups
        elif run.cadence == WHOLE and begin % 2 == 0:
            whole += run.groups
        else:
            film += run.groups
        begin += run.fields
    return alone, film, whole


def _kind(runs: list[Run]) -> str:
    alone, film, _ = _shares(runs)
    return "interlaced" if alone > film else "telecined"


def _notes(runs: list[Run], order: Order) -> Iterator[str]:
    alone, film, whole = _shares(runs)
    if alone > film:
        yield f"Interlaced, {order}. Fields that became a frame each: {alone}."
        if film:
            yield f"Telecined, too. Frames that were put together from their fields: {film}."
    else:
        yield f"Telecined. Frames that were put together from their fields: {film}."
        if alone:
            yield f"Fields that no other belongs to, and that became a frame each: {alone}."
    if whole:
        yield f"Pictures that are used as they are: {whole}."
