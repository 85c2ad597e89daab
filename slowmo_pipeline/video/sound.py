"""The sound of the result: the source's, slowed like its pictures with its pitch kept, or kept where they are not."""

import logging
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import ffmpeg
import numpy as np

from slowmo_pipeline.errors import EncodeError, EncoderKilledError, UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.video.binary import generous_timeout, run_graph
from slowmo_pipeline.video.container import input_url
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.sample_warp import SampleWarp, WarpSegment
from slowmo_pipeline.video.samples import Samples
from slowmo_pipeline.video.sound_pieces import slowed
from slowmo_pipeline.video.sound_track import NoSoundError, SoundTrack, sound_track
from slowmo_pipeline.video.writer import CODECS, Codec, file_options

_KILOBITS_PER_CHANNEL = 96
"""Of AAC with more than two channels."""

_log = logging.getLogger(__name__)


def add_sound(
    path: Path,
    video: Path,
    *,
    source: Path,
    info: VideoInfo,
    codec: str,
    warp: Sequence[WarpSegment],
    duration: Fraction,
    mode: Literal["stretch", "keep"],
) -> list[str]:
    """Write `path`: the pictures of `video` as they are, with the sound of `source`; returns what of it was lost.

    What is heard at a moment of the source is heard at the moment of the result that shows it, by the segments of
    `warp`, which begin at the source's first frame. Where the speed is 1 no sample is changed. The sound is cut or
    filled with silence to exactly `duration` seconds. "keep" is silent where the speed is not 1.
    While it is made, the source's sound lies decoded in a file beside `path`: 4 bytes a sample.
    Raises EncodeError; then no file is left, and `video` is untouched: it is the result without sound.
    """
    begin, end = warp[0].source, _source_end(warp, duration)
    try:
        with sound_track(source, info, begin=begin, end=end, folder=path.parent) as track:
            sound = slowed(track, SampleWarp(warp, rate=track.rate, duration=duration), mode=mode)
            _write(path, video, sound, track, info, CODECS[codec], duration)
            return track.losses
    except (NoSoundError, UnreadableVideoError, VideoTooLargeError, OSError) as error:
        raise EncodeError(f"Making the sound of {path.name}: {error}") from error


def _write(
    path: Path,
    video: Path,
    sound: Iterator[Samples],
    track: SoundTrack,
    info: VideoInfo,
    codec: Codec,
    duration: Fraction,
) -> None:
    options = dict(codec.sound)
    if "b:a" in options and track.channels > 2:
        options["b:a"] = f"{_KILOBITS_PER_CHANNEL * track.channels}k"
    graph = ffmpeg.output(
        ffmpeg.input(input_url(video))["v:0"],
        ffmpeg.input("pipe:", format="f32le", ac=track.channels, ar=track.rate)["a:0"],
        f"file:{path.absolute()}",
        copyts=None,
        **{"c:v": "copy", "flags:a": "+bitexact"},
        **options,
        **file_options(info, codec),
    )
    samples = (np.ascontiguousarray(block.T, "<f4") for block in sound if block.size)
    try:
        run_graph(graph, purpose=f"Making the sound of {path.name}", stdin=samples, timeout=generous_timeout(duration))
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, EncodeError) and not isinstance(error, EncoderKilledError):
            _log.warning("%s", error)
            raise EncodeError(_first_words(str(error))) from error
        raise


def _source_end(warp: Sequence[WarpSegment], duration: Fraction) -> Fraction:
    """Seconds of the source that are heard at the end of the result."""
    last = warp[-1]
    left = duration - last.output - last.duration
    return last.source + (last.begin_speed + last.end_speed) / 2 * last.duration + left * last.end_speed


def _first_words(said: str) -> str:
    """A sentence of an error that quotes many lines of ffmpeg's: the first tells why, the others what that led to."""
    line = said.partition("\n")[0]
    return re.sub(r"\[[^]]* @ 0x[0-9a-f]+\] ", "", line)
