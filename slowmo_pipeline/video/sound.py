"""The sound of the result: the source's, slowed with its pitch kept, made once for the whole video."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import ffmpeg

from slowmo_pipeline.video.binary import run_graph
from slowmo_pipeline.video.container import INPUT_OPTIONS, input_url
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.writer import CODECS, file_options

SAMPLE_RATE = 48000
"""Samples per second of the result's sound: what video uses."""

_SLOWEST_TEMPO = Fraction(1, 2)

# `atempo` overlaps windows of 2048 samples and shows a moment in each window that holds it, all of them too early.
# Measured at 48 kHz for slowdowns of 2, 4 and 8: a click begins 32 ms * (slowdown - 1) early, its middle 21 ms * (...).
_ATEMPO_LEAD = Fraction(27, 1000)


def add_sound(
    path: Path, video: Path, *, source: Path, info: VideoInfo, codec: str, slowdown: Fraction, duration: Fraction
) -> None:
    """Write `path`: the pictures of `video` as they are, with the slowed first sound stream of `source`.

    What was heard s seconds after the source's first frame is heard slowdown * s seconds after the first frame of the
    result; the sound is cut or filled with silence to exactly `duration` seconds.
    Raises EncodeError; then no file is left, and `video` is untouched: it is the result without sound.
    """
    kind = CODECS[codec]
    # Times as the container has them: by itself ffmpeg moves each file so that its first stream starts at 0.
    heard = ffmpeg.input(input_url(source), **INPUT_OPTIONS)["a:0"]
    begin = info.first_frame_time - _ATEMPO_LEAD * (slowdown - 1) / slowdown
    heard = heard.filter("aresample", SAMPLE_RATE).filter("asetpts", f"PTS-({begin})/TB")
    # Silence before the first sample and in gaps, and nothing from before the first frame.
    heard = heard.filter("aresample", **{"async": 1, "first_pts": 0})
    for tempo in tempos(slowdown):
        heard = heard.filter("atempo", repr(float(tempo)))
    samples = round(duration * SAMPLE_RATE)
    heard = heard.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)
    graph = ffmpeg.output(
        ffmpeg.input(f"file:{video.absolute()}")["v:0"],
        heard,
        f"file:{path.absolute()}",
        copyts=None,
        **{"c:v": "copy", "flags:a": "+bitexact"},
        **kind.sound,
        **file_options(info, kind),
    )
    try:
        run_graph(graph, purpose=f"Making the sound of {path.name}", timeout=_timeout(duration))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def tempos(slowdown: Fraction) -> Iterator[Fraction]:
    """Yield factors whose product is 1 / slowdown, each one that ffmpeg's `atempo` takes; none for a slowdown of 1."""
    left = 1 / slowdown
    while left < _SLOWEST_TEMPO:
        yield _SLOWEST_TEMPO
        left /= _SLOWEST_TEMPO
    if left != 1:
        yield left


def _timeout(duration: Fraction) -> float:
    """Seconds that even a slow machine does not need: it makes sound many times faster than it plays."""
    return float(120 + duration)
