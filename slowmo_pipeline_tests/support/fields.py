"""Interlaced and telecined clips with known truth: frames at the rate of fields or of film, and pictures of them."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from slowmo_pipeline.frames import Frame
from slowmo_pipeline_tests.support.media import NTSC_RATE, run_ffmpeg, write_clip

WIDTH, HEIGHT = 128, 96
PULLDOWN = "23"
"""Fields of each film frame in turn."""


def scene(count: int, *, speed: int = 3) -> list[Frame]:
    """A soft landscape with a sharp bar before it, which move `speed` and twice as many pixels a frame.

    No edge is level: where a field has it half a line off, none knows better.
    """
    rows, columns = np.mgrid[0:HEIGHT, 0 : WIDTH + speed * count]
    grey = 90 + 50 * np.sin(columns / 7) + 30 * np.cos(rows / 2.5 + columns / 31)
    frames: list[Frame] = []
    for number in range(count):
        image = grey[:, speed * number : speed * number + WIDTH].copy()
        left = (2 * speed * number) % (WIDTH - 24)
        image[:, left : left + 24] += 80
        frames.append(np.repeat(image.astype(np.uint8)[:, :, np.newaxis], 3, axis=2))
    return frames


def woven(fields: Sequence[Frame], *, top_first: bool) -> list[Frame]:
    """Pictures of two fields each, of which each comes from a frame of its own."""
    pictures: list[Frame] = []
    for early, late in zip(fields[0::2], fields[1::2], strict=False):
        picture = early.copy()
        picture[1 if top_first else 0 :: 2] = late[1 if top_first else 0 :: 2]
        pictures.append(picture)
    return pictures


def pulled_down(film: Sequence[Frame], *, pattern: str = PULLDOWN) -> list[Frame]:
    """A frame for each field of film: each film frame as often as the pattern says."""
    return [frame for number, frame in enumerate(film) for _ in range(int(pattern[number % len(pattern)]))]


def write_marked(path: Path, pictures: Sequence[Frame], *encoding: str, rate: Fraction, top_first: bool = True) -> Path:
    """Write pictures that say of themselves that they are interlaced; `encoding` is ffmpeg's."""
    plain = write_clip(path.with_suffix(".plain.mkv"), pictures, rate=rate)
    order = f"setfield={'tff' if top_first else 'bff'}"
    run_ffmpeg("-r", str(rate), "-i", str(plain), "-vf", order, "-flags", "+ilme+ildct", *encoding, str(path))
    return path


def write_soft_pulldown(path: Path, film: Sequence[Frame]) -> Path:
    """Write film as DVDs have it: MPEG-2 of whole pictures, of which every second one is to be shown a field longer."""
    bare = write_marked(path.with_suffix(".m2v"), film, "-c:v", "mpeg2video", "-q:v", "2", "-bf", "0", rate=NTSC_RATE)
    bare.write_bytes(_with_repeated_fields(bare.read_bytes()))
    run_ffmpeg("-fflags", "+genpts", "-i", str(bare), "-c", "copy", str(path))
    return path


def _with_repeated_fields(stream: bytes) -> bytes:
    """Mark pictures as progressive, and to be shown for three fields and two in turn (ISO/IEC 13818-2, 6.2.3.1)."""
    data = bytearray(stream)
    for number, place in enumerate(_picture_extensions(stream)):
        # The order of the first field follows from how many were shown before: 0, 3, 5, 8, 10 and so on.
        shown = 5 * (number // 2) + 3 * (number % 2)
        top_first, repeat_first = shown % 2 == 0, number % 2 == 0
        data[place + 7] = data[place + 7] & 0b01111101 | top_first << 7 | repeat_first << 1
        data[place + 8] |= 0b10000000
    return bytes(data)


def _picture_extensions(stream: bytes) -> Iterator[int]:
    place = stream.find(b"\0\0\1\xb5")
    while place >= 0:
        if stream[place + 4] >> 4 == 8:
            yield place
        place = stream.find(b"\0\0\1\xb5", place + 1)
