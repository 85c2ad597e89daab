"""How a video looks, from all of its pictures: size, depth, what its codes mean, what a person should know of that."""

from collections.abc import Iterator
from fractions import Fraction

from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.video.aperture import NOTHING, crop_in
from slowmo_pipeline.video.changes import Changes
from slowmo_pipeline.video.colour import Headroom
from slowmo_pipeline.video.container import OpenVideo
from slowmo_pipeline.video.description import described
from slowmo_pipeline.video.hdr import HdrMeter, needs_dolby_vision
from slowmo_pipeline.video.headroom import HeadroomMeter
from slowmo_pipeline.video.traits import UPRIGHT, orientation_of, tags_of


class Appearance:
    """Sees the pictures of a video, the first of them at once."""

    def __init__(self, video: OpenVideo, first: VideoFrame) -> None:
        self._description = described(video)
        if needs_dolby_vision(self._description):
            raise UnreadableVideoError(
                f"{video.name} shows its colours by metadata of Dolby Vision only, which is not read: convert it to "
                "HDR10 or SDR first."
            )
        self._first = first
        self._pixel_shape = video.stream.sample_aspect_ratio
        self._crop = crop_in(self._description, video.warnings, width=first.width, height=first.height)
        self._changes = Changes(video.name, first)
        self._headroom = HeadroomMeter()
        self._hdr = HdrMeter()

    def see(self, number: int, picture: VideoFrame) -> None:
        """Look at the next picture. Raises UnreadableVideoError for a change that cannot be honoured."""
        self._changes.follow(number, picture)
        self._headroom.see(picture)
        self._hdr.see(picture)

    def found(self) -> dict[str, object]:
        """The fields of a `VideoInfo`."""
        first, crop, bits = self._first, self._crop or NOTHING, self._changes.bits
        width, height = first.width - crop["left"] - crop["right"], first.height - crop["top"] - crop["bottom"]
        orientation = orientation_of(first) or UPRIGHT
        turned = orientation.swaps_sides
        pixel_shape = self._pixel_shape if self._pixel_shape and self._pixel_shape > 0 else Fraction(1)
        return {
            "width": height if turned else width,
            "height": width if turned else height,
            "crop": crop,
            "depth": 8 if bits <= 8 and self._kept != "colours" else 16,
            "headroom": self._kept,
            "source_bits": bits,
            "pixel_format": first.format.name,
            "sample_aspect_ratio": str(1 / pixel_shape if turned else pixel_shape),
            "rotation": orientation.rotation,
            "mirrored": orientation.mirrored,
            "colour": tags_of(first),
            "colours_change": self._changes.in_meaning,
            **self._hdr.found(),
        }

    def notes(self) -> Iterator[str]:
        """Yield sentences on what is not as one might expect."""
        if self._changes.has_alpha:
            yield "The alpha channel is dropped."
        if orientation_of(self._first) is None:
            yield "The source asks for a rotation that is no quarter turn: it is not rotated."
        if self._crop is None:
            yield "The container asks for a crop that does not lie inside of the picture: it is not cropped."
        yield from self._changes.notes()
        if self._headroom.needed != self._kept:
            yield "What is blacker than black or whiter than white is clipped, since the range changes."
        if self._kept == "colours":
            yield "Colours outside of RGB's are kept: the frames travel in 16 bits."
        yield from self._hdr.notes(tags_of(self._first)["transfer"], self._description)

    @property
    def _kept(self) -> Headroom:
        """The headroom of the frames. Codes travel as what they are: they cannot where black has several of them."""
        return "none" if self._changes.in_range else self._headroom.needed
