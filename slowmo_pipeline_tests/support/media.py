"""Clips with known truth, generated: what is in a frame tells which frame it is, and what colour it must have."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.binary import ffmpeg_binary
from slowmo_pipeline.video.colour import MATRICES, PRIMARIES, RANGES, TRANSFERS
from slowmo_pipeline.video.info import Colour

FILM_RATE = Fraction(24000, 1001)
NTSC_RATE = Fraction(30000, 1001)
SAMPLE_RATE = 48000
UNTAGGED = Colour(matrix=None, range=None, primaries=None, transfer=None)
BT709 = Colour(matrix="bt709", range="tv", primaries="bt709", transfer="bt709")

BAR_COLOURS = np.array(
    [(235, 235, 235), (200, 190, 20), (20, 190, 200), (20, 160, 30), (190, 30, 180), (200, 20, 20), (20, 30, 200)]
)
"""RGB of `colour_bars`, from left to right, 8 bits."""

_GREYS = 12
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".ts": "mpegts", ".avi": "avi"}
_VIDEO_CODECS = {".webm": "libvpx-vp9"}
_SOUND_CODECS = {".mp4": "aac", ".mov": "aac", ".ts": "aac", ".webm": "libopus"}


def grey_level(number: int) -> int:
    """The grey of frame `number`, 10..230: neighbours differ by 20 or more, and it repeats after 12 frames."""
    return 10 + 20 * (number % _GREYS)


def grey_frames(count: int, *, width: int = 64, height: int = 48, depth: int = 8) -> Iterator[Frame]:
    """Frames of one flat grey each."""
    for number in range(count):
        yield in_depth(np.full((height, width, 3), grey_level(number)), depth)


def grey_numbers(frames: Iterable[Frame]) -> list[int]:
    """Which frames of `grey_frames` these are, modulo 12: one assert shows a lost, doubled or swapped one."""
    return [round((float(np.mean(frame)) / (1 if frame.dtype == np.uint8 else 257) - 10) / 20) for frame in frames]


def colour_bars(*, width: int = 112, height: int = 48, depth: int = 8) -> Frame:
    """Seven upright bars of BAR_COLOURS."""
    bars = np.repeat(BAR_COLOURS, -(-width // len(BAR_COLOURS)), axis=0)[:width]
    return in_depth(np.broadcast_to(bars, (height, width, 3)), depth)


def bar_colours(frame: Frame) -> npt.NDArray[np.float64]:
    """The colours in the middle of each bar, shape (7, 3), in 8 bits."""
    height, width = frame.shape[:2]
    columns = (np.arange(len(BAR_COLOURS)) * -(-width // len(BAR_COLOURS))) + width // (2 * len(BAR_COLOURS))
    colours: npt.NDArray[np.float64] = frame[height // 2, columns] / (1.0 if frame.dtype == np.uint8 else 257.0)
    return colours


def moving_square(
    count: int, *, speed: int = 4, size: int = 16, width: int = 96, height: int = 64, depth: int = 8
) -> Iterator[Frame]:
    """A bright square that moves `speed` pixels to the right each frame over a smooth background."""
    rows, columns = np.mgrid[0:height, 0:width]
    background = np.stack((40 + rows, 60 + columns // 2, 90 + (rows + columns) // 4), axis=-1)
    for number in range(count):
        image = background.copy()
        left = 8 + speed * number
        image[height // 2 - size // 2 : height // 2 + size // 2, left : left + size] = (230, 200, 60)
        yield in_depth(image, depth)


def in_depth(image: npt.NDArray[np.integer], depth: int) -> Frame:
    """An image of 8-bit values as a frame of 8 or 16 bits."""
    return image.astype(np.uint8) if depth == 8 else (image * 257).astype(np.uint16)


def tone(seconds: float, *, hertz: float = 440) -> npt.NDArray[np.float32]:
    """A sine wave, one channel, at SAMPLE_RATE."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def clicks(seconds: float, *, at: Sequence[float]) -> npt.NDArray[np.float32]:
    """Silence with a 20 ms burst of 1 kHz at each of the given seconds."""
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for moment in at:
        burst = tone(0.02, hertz=1000)
        start = round(moment * SAMPLE_RATE)
        sound[start : start + len(burst)] = burst
    return sound


def write_clip(
    path: Path,
    frames: Iterable[Frame],
    *,
    rate: Fraction = FILM_RATE,
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str | None = None,
    pixel_format: str = "yuv420p",
    colour: Colour = UNTAGGED,
    sample_aspect_ratio: Fraction = Fraction(1),
    options: Mapping[str, str] | None = None,
    sound: npt.NDArray[np.float32] | None = None,
    sound_start: Fraction = Fraction(0),
) -> Path:
    """Write frames at a constant rate, or at `ticks` of `time_base`; the suffix chooses the container.

    H.264 without loss unless told otherwise (WebM: VP9).
    """
    frames = list(frames)
    with av.open(str(path), "w", format=_FORMATS.get(path.suffix)) as container:
        stream = _add_video(container, path, codec, rate, time_base or 1 / rate, options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        _tag(stream, colour)
        sound_stream = None if sound is None else _add_sound(container, path)
        for number, frame in enumerate(frames):
            picture = _picture(frame, pixel_format, colour)
            picture.pts = number if ticks is None else ticks[number]
            picture.time_base = time_base or 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if sound is not None and sound_stream is not None:
            _encode_sound(container, sound_stream, sound, sound_start)
    return path


def write_planes(
    path: Path,
    planes: Sequence[int | npt.NDArray[np.integer]],
    *,
    pixel_format: str,
    colour: Colour,
    count: int = 2,
    size: tuple[int, int],
) -> Path:
    """Write pictures whose planes hold exactly the given numbers, one or (height, width), by FFV1: without loss."""
    width, height = size
    with av.open(str(path), "w", format="matroska") as container:
        stream = _add_video(container, path, "ffv1", Fraction(24), Fraction(1, 24), None)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        _tag(stream, colour)
        for number in range(count):
            picture = VideoFrame(width, height, pixel_format)
            for plane, value in zip(picture.planes, planes, strict=True):
                plane_samples(plane)[:] = value
            picture.pts, picture.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def plane_samples(plane: VideoPlane) -> npt.NDArray[np.integer]:
    """The numbers of a plane, (height, width), as a view."""
    kind = np.uint8 if plane.line_size < 2 * plane.width else np.uint16
    return np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)[:, : plane.width]


def rotated(source: Path, path: Path, *, clockwise: int, mirrored: bool = False) -> Path:
    """Copy a clip with a display matrix that asks players to turn it, then to flip it left to right if mirrored."""
    flip = ["-display_hflip"] if mirrored else []
    run_ffmpeg("-display_rotation", str(-clockwise), *flip, "-i", str(source), "-c", "copy", str(path))
    return path


def joined(path: Path, *sources: Path) -> Path:
    """Put the streams of several clips side by side into one file."""
    inputs = [argument for source in sources for argument in ("-i", str(source))]
    maps = [argument for number in range(len(sources)) for argument in ("-map", str(number))]
    run_ffmpeg(*inputs, *maps, "-c", "copy", str(path))
    return path


def cut_off(path: Path, *, keep: float) -> Path:
    """Keep only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * keep)])
    return path


def noise(seed: int) -> Frame:
    """A frame of 64x48 pixels that no codec finds anything in to leave out."""
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def damaged(path: Path, *, at: float, length: int = 200) -> Path:
    """Overwrite some bytes in the middle of a file."""
    data = bytearray(path.read_bytes())
    start = round(len(data) * at)
    data[start : start + length] = bytes(np.random.default_rng(0).integers(0, 256, length, np.uint8))
    path.write_bytes(data)
    return path


def read_sound(path: Path) -> npt.NDArray[np.float32]:
    """The first sound stream of a file, mixed to one channel, at SAMPLE_RATE."""
    samples = run_ffmpeg("-i", str(path), "-map", "a:0", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-")
    return np.frombuffer(samples, np.float32)


def run_ffmpeg(*arguments: str) -> bytes:
    """Run the ffmpeg binary and return what it printed."""
    command = [ffmpeg_binary(), "-y", "-v", "error", *arguments]
    return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout


def _add_video(
    container: OutputContainer,
    path: Path,
    codec: str | None,
    rate: Fraction,
    time_base: Fraction,
    options: Mapping[str, str] | None,
) -> VideoStream:
    name = codec or _VIDEO_CODECS.get(path.suffix, "libx264")
    lossless = {"libx264": {"qp": "0"}, "libvpx-vp9": {"lossless": "1"}}.get(name, {})
    stream = container.add_stream(name, rate=rate, options={**lossless, **(options or {})})
    if not isinstance(stream, VideoStream):
        raise ValueError(f"{name} is no video codec")
    stream.codec_context.time_base = time_base
    stream.codec_context.thread_count = 1
    return stream


def _add_sound(container: OutputContainer, path: Path) -> AudioStream:
    stream = container.add_stream(_SOUND_CODECS.get(path.suffix, "pcm_s16le"), rate=SAMPLE_RATE)
    if not isinstance(stream, AudioStream):
        raise ValueError("not a sound codec")
    stream.layout = "mono"
    return stream


def _tag(stream: VideoStream, colour: Colour) -> None:
    context = stream.codec_context
    for names, name, attribute in (
        (MATRICES, colour.matrix, "colorspace"),
        (RANGES, colour.range, "color_range"),
        (PRIMARIES, colour.primaries, "color_primaries"),
        (TRANSFERS, colour.transfer, "color_trc"),
    ):
        if name is not None:
            setattr(context, attribute, next(number for number, known in names.items() if known == name))


def _picture(frame: Frame, pixel_format: str, colour: Colour) -> VideoFrame:
    picture = VideoFrame.from_ndarray(frame, format="rgb24" if frame.dtype == np.uint8 else "rgb48le")
    if pixel_format in ("rgb24", "rgb48le"):
        return picture
    matrix = {"bt709": 1, "bt2020nc": 9}.get(colour.matrix or "", 5)
    return picture.reformat(
        format=pixel_format,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=2,
        dst_color_range=2 if colour.range == "pc" else 1,
        interpolation=0x4 | 0x2000 | 0x40000,
    )


def _encode_sound(
    container: OutputContainer, stream: AudioStream, sound: npt.NDArray[np.float32], start: Fraction
) -> None:
    step = 960
    for begin in range(0, len(sound), step):
        frame = AudioFrame.from_ndarray(sound[np.newaxis, begin : begin + step], format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = begin + round(start * SAMPLE_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
