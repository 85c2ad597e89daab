"""What changes on the way through a video: read picture by picture where that is exact, else refused with the frame."""

from collections.abc import Iterator
from typing import NoReturn

from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.video.colour import USUAL_PRIMARIES, USUAL_TRANSFERS
from slowmo_pipeline.video.traits import (
    UPRIGHT,
    Orientation,
    bits_of,
    converts,
    has_alpha,
    is_full_range,
    orientation_of,
    scaler_matrix,
    tags_of,
)


class Changes:
    """Holds the pictures of a video against its first."""

    def __init__(self, name: str, first: VideoFrame) -> None:
        self._name = name
        self._first = first
        self._size = (first.width, first.height)
        self._tags = tags_of(first)
        self._orientation = orientation_of(first)
        self._formats: dict[str, VideoFormat] = {}
        self._notes: dict[str, str] = {}

    @property
    def bits(self) -> int:
        """Bits of the deepest sample seen."""
        return max(map(bits_of, self._formats.values()))

    @property
    def has_alpha(self) -> bool:
        """Whether any picture seen has a channel of transparency."""
        return any(map(has_alpha, self._formats.values()))

    @property
    def in_meaning(self) -> bool:
        """Whether the same numbers mean other colours in some of the pictures seen."""
        return not self._notes.keys().isdisjoint(("matrix", "range"))

    @property
    def in_range(self) -> bool:
        """Whether black and white have other codes in some of the pictures seen."""
        return "range" in self._notes

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each kind of change, with the frame at which it is met first."""
        yield from self._notes.values()

    def follow(self, number: int, picture: VideoFrame) -> None:
        """Look at the next picture. Raises UnreadableVideoError for a change that cannot be honoured."""
        size = (picture.width, picture.height)
        if size != self._size:
            self._refuse("", "{}x{}".format(*self._size), "{}x{}".format(*size), number)
        orientation = orientation_of(picture)
        # H.264 and H.265 say it at some pictures only, and it holds for those that follow.
        if orientation not in (UPRIGHT, self._orientation):
            self._refuse("rotation ", _told(self._orientation), _told(orientation), number)
        before, now = self._first.format.name, picture.format.name
        self._formats.setdefault(now, picture.format)
        if now != before:
            self._note("pixel format", before, now, number, "all are read in the depth of the deepest.")
        tags = tags_of(picture)
        if not converts(tags["matrix"], picture.format):
            raise UnreadableVideoError(
                f"{self._name}: the colour matrix {tags['matrix']} of frame {number} is not known. Convert it first."
            )
        if tags != self._tags:
            self._follow_tags(number, picture, tags)

    def _follow_tags(self, number: int, picture: VideoFrame, tags: dict[str, str | None]) -> None:
        for name, alike in (("primaries", USUAL_PRIMARIES), ("transfer", USUAL_TRANSFERS)):
            before, now = self._tags[name], tags[name]
            if before != now and not alike.issuperset((before, now)):
                self._refuse(f"colour {name} ", before or "untagged", now or "untagged", number)
        if self._tags["primaries"] != tags["primaries"]:
            self._note("primaries", self._tags["primaries"], tags["primaries"], number, "all are told as the first's.")
        each = "each frame is read by its own."
        if scaler_matrix(picture) != scaler_matrix(self._first):
            self._note("matrix", self._tags["matrix"], tags["matrix"], number, each)
        if is_full_range(picture) != is_full_range(self._first):
            self._note("range", self._tags["range"], tags["range"], number, each)

    def _note(self, what: str, before: str | None, now: str | None, number: int, done: str) -> None:
        told = f"Frame {number} has the {what} {now or 'untagged'}, not {before or 'untagged'} as the first: {done}"
        self._notes.setdefault(what, told)

    def _refuse(self, what: str, before: str, now: str, number: int) -> NoReturn:
        raise UnreadableVideoError(
            f"{self._name} changes {what}from {before} to {now} at frame {number}: split it there."
        )


def _told(orientation: Orientation | None) -> str:
    if orientation is None:
        return "no quarter turn"
    return f"{orientation.rotation} degrees" + (", mirrored" if orientation.mirrored else "")
