"""Writing: a stream of frames becomes a video file, by one run of ffmpeg in constant memory."""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import numpy.typing as npt

from slowmo_pipeline.errors import EncodeError, EncoderKilledError
from slowmo_pipeline.frames import Frame, FrameShape
from slowmo_pipeline.video.binary import run_graph
from slowmo_pipeline.video.colour import RGB_MATRIX, usual_matrix
from slowmo_pipeline.video.info import Colour, VideoInfo
from slowmo_pipeline.video.picture import SQUEEZE


@dataclass(frozen=True)
class Codec:
    """How one codec is written."""

    suffix: str
    """The container's file suffix."""
    pixel_formats: Mapping[int, str]
    """ffmpeg's pixel format for frames of 8 and of 16 bits a sample."""
    options: Mapping[str, str]
    """ffmpeg's options of the encoder."""
    sound: Mapping[str, str]
    """ffmpeg's options of the sound beside it."""
    even_sizes: bool = True
    """Whether its chroma is halved, so that width and height must be even."""
    full_range: bool = True
    """Whether it can say that its numbers use the full range; if not, they never do."""
    default_crf: int | None = None
    """Quality where none is asked for; None if the codec has no such knob."""
    hdr_options: tuple[str, str, str] | None = None
    """How mastering display and light level are told: ffmpeg's option, and the names inside of it; None if not."""

    def pixel_format(self, info: VideoInfo) -> str:
        """ffmpeg's name of what it stores of a video's frames. RGB has no place for headroom, YUV 4:4:4 has."""
        if info.headroom == "none":
            return self.pixel_formats[info.depth]
        return _yuv_444(info.source_bits) if self.is_rgb else self.pixel_formats[8 if info.source_bits <= 8 else 16]

    @property
    def is_rgb(self) -> bool:
        """Whether it stores RGB: no matrix, no loss."""
        return not self.pixel_formats[8].startswith("yuv")


# Frames that the encoders keep to look ahead. Their own choice, 40, costs 200 MB of memory more at 1080p.
_LOOKAHEAD = "10"
_AAC = {"c:a": "aac", "b:a": "192k"}

CODECS: Mapping[str, Codec] = {
    "h264": Codec(
        suffix=".mp4",
        pixel_formats={8: "yuv420p", 16: "yuv420p10le"},
        default_crf=18,
        options={"c:v": "libx264", "preset": "medium", "rc-lookahead": _LOOKAHEAD},
        sound=_AAC,
        hdr_options=("x264-params", "mastering-display", "cll"),
    ),
    "h265": Codec(
        suffix=".mp4",
        pixel_formats={8: "yuv420p", 16: "yuv420p10le"},
        default_crf=20,
        # hvc1: Apple's players refuse the muxer's own choice, hev1.
        options={"c:v": "libx265", "preset": "medium", "tag:v": "hvc1"},
        sound=_AAC,
        hdr_options=("x265-params", "master-display", "max-cll"),
    ),
    "prores": Codec(
        suffix=".mov",
        pixel_formats={8: "yuv422p10le", 16: "yuv422p10le"},
        full_range=False,
        options={"c:v": "prores_ks", "profile:v": "hq"},
        sound={"c:a": "pcm_s16le"},
    ),
    "ffv1": Codec(
        suffix=".mkv",
        pixel_formats={8: "bgr0", 16: "gbrp16le"},
        even_sizes=False,
        options={"c:v": "ffv1", "level": "3", "g": "1", "slicecrc": "1"},
        sound={"c:a": "flac"},
    ),
}
"""By the names that the settings use."""

_SCALER_FLAGS = "bicubic+accurate_rnd+full_chroma_int"

# The second flag keeps the library's version, the date and random identifiers out of the file.
_REPEATABLE = {"flags:v": "+bitexact", "fflags": "+bitexact", "map_metadata": "-1", "map_chapters": "-1"}


def encode(
    path: Path,
    frames: Iterable[Frame],
    *,
    info: VideoInfo,
    frame_rate: Fraction,
    codec: str,
    crf: int | None,
    threads: int,
) -> int:
    """Write a video without sound and return its number of frames, which is that of `frames`.

    Frames are (info.height, info.width, 3) of info.depth. Colours, pixel shape and creation time are `info`'s. The
    same frames give the same bytes, for the same ffmpeg and number of threads. Where chroma is halved, an odd width or
    height grows by one: the last column or row is repeated.
    Raises EncodeError, ValueError for a frame of another shape, and whatever `frames` raises; then no file is left.
    """
    kind = CODECS[codec]
    written = 0

    def buffers() -> Iterator[npt.NDArray[Any]]:
        nonlocal written
        for frame in frames:
            _check_shape(frame, info, written)
            yield _raw(frame, kind, info)
            written += 1

    graph = _graph(path, kind, info, frame_rate, kind.default_crf if crf is None else crf, threads)
    try:
        run_graph(graph, purpose=f"Encoding {path.name}", stdin=buffers())
        if written == 0:
            raise EncodeError(f"Encoding {path.name}: there was no frame to encode.")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return written


def require_encoder(*, info: VideoInfo, frame_rate: Fraction, codec: str, crf: int | None, threads: int) -> None:
    """Open the encoder as `encode` would, without a frame, so that what it refuses is known before there are any.

    Raises EncodeError that quotes it.
    """
    kind = CODECS[codec]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"nothing{kind.suffix}")
        graph = _graph(path, kind, info, frame_rate, kind.default_crf if crf is None else crf, threads)
        try:
            run_graph(graph, purpose=f"Opening {kind.options['c:v']}")
        except EncoderKilledError:
            raise
        except EncodeError as error:
            said = re.search(rf"\[({kind.options['c:v']}|mp4|mov|matroska) @ \w+\] (?P<reason>.+?)\.?\n", str(error))
            raise EncodeError(
                f"{codec} does not hold {info.width}x{info.height} at {frame_rate} frames a second: "
                f"{said['reason'] if said else error}. Choose another codec, or scale the video."
            ) from error


def file_options(info: VideoInfo, codec: Codec) -> dict[str, str]:
    """Return ffmpeg's options for a result's container: nothing invented in it, ready to be played while it loads."""
    options = dict(_REPEATABLE)
    if info.creation_time is not None:
        options["metadata"] = f"creation_time={info.creation_time}"
    if codec.suffix in (".mp4", ".mov"):
        options["movflags"] = "+faststart"
    return options


def _graph(path: Path, codec: Codec, info: VideoInfo, frame_rate: Fraction, crf: int | None, threads: int) -> Any:
    width, height = _coded_size(info, codec)
    source = ffmpeg.input(
        "pipe:",
        format="rawvideo",
        pix_fmt="rgb24" if info.depth == 8 else "rgb48le",
        s=f"{width}x{height}",
        framerate=str(frame_rate),
        # Said twice: from the first alone ffmpeg guesses, and takes 240000/1001 for 240.
        r=str(frame_rate),
    )
    options = dict(codec.options)
    if crf is not None and codec.default_crf is not None:
        options["crf"] = str(crf)
    if options["c:v"] == "ffv1":
        options["slices"] = str(_slices(width, height, info.depth))
    if options["c:v"] == "libx265":
        # x265 ignores -threads; its bytes depend on both of these.
        options["x265-params"] = f"log-level=error:pools={threads}:frame-threads=1:rc-lookahead={_LOOKAHEAD}"
    if codec.hdr_options:
        option, display, light = codec.hdr_options
        told = ":".join((*filter(None, [options.get(option)]), *_hdr(info, display, light)))
        options.update({option: told} if told else {})
    pictures = _coloured(source, codec, info, (width, height)).filter(
        # The filter's own maximum of 100 would round a pixel shape like 4320:4739.
        "setsar",
        sar=str(info.sample_aspect_ratio),
        max=2**31 - 1,
    )
    return ffmpeg.output(
        pictures,
        f"file:{path.absolute()}",
        **options,
        **file_options(info, codec),
        threads=threads,
        fps_mode="passthrough",
    )


def _hdr(info: VideoInfo, display: str, light: str) -> Iterator[str]:
    """What x264 and x265 are told, by their names for it; both spell the values as H.265's reference encoder does."""
    if (mastering := info.mastering_display) is not None:
        points = (("G", mastering.green), ("B", mastering.blue), ("R", mastering.red), ("WP", mastering.white))
        placed = "".join(f"{name}({x},{y})" for name, (x, y) in points)
        yield f"{display}={placed}L({mastering.brightest},{mastering.darkest})"
    if (level := info.light_level) is not None:
        yield f"{light}={level.pixel},{level.frame}"


def _slices(width: int, height: int, depth: int) -> int:
    """As few as FFV1 needs: it holds no slice whose samples, of one bit more each, may take more than 2^27 bits."""
    sides = min(2, width, height)
    while -(-width // sides) * -(-height // sides) * 3 * (depth + 1) > 2**27:
        sides *= 2
    return sides * sides


def _coloured(source: Any, codec: Codec, info: VideoInfo, size: tuple[int, int]) -> Any:
    """Convert RGB to what the codec stores and put the source's tags on it; the untagged stays untagged."""
    colour = info.colour
    pixel_format = codec.pixel_format(info)
    if not pixel_format.startswith("yuv"):
        return source.filter("format", pixel_format).filter("setparams", **_tags(colour, RGB_MATRIX, "pc"))
    matrix = usual_matrix(*size) if colour.matrix == RGB_MATRIX else colour.matrix
    colour_range = colour.range if codec.full_range else "tv"
    # The filter knows no constant luminance; neither does the reader.
    known = (matrix or usual_matrix(*size)).replace("bt2020c", "bt2020nc")
    if info.headroom == "none":
        converted = source.filter(
            "scale", in_range="pc", out_color_matrix=known, out_range=colour_range or "tv", flags=_SCALER_FLAGS
        )
    else:
        converted = _codes(source, info, known)
    return converted.filter("format", pixel_format).filter("setparams", **_tags(colour, matrix, colour_range))


def _codes(source: Any, info: VideoInfo, matrix: str) -> Any:
    """Convert frames with headroom to the codes that they were read from, whatever those mean; undoes RgbConverter."""
    squeezed = info.headroom == "colours"
    codes = source.filter("scale", in_range="pc", out_color_matrix=matrix, out_range="pc", flags=_SCALER_FLAGS)
    codes = codes.filter("format", _yuv_444(16 if squeezed else info.source_bits))
    if squeezed:
        stretched = f"clip(val*{SQUEEZE}-{2**15 * (SQUEEZE - 1)},0,65535)"
        codes = codes.filter("lutyuv", y=stretched, u=stretched, v=stretched)
    # One range for both: another depth shifts them.
    return codes.filter("scale", in_range="tv", out_range="tv", flags=_SCALER_FLAGS)


def _yuv_444(bits: int) -> str:
    return "yuv444p" if bits <= 8 else f"yuv444p{bits}le"


def _tags(colour: Colour, matrix: str | None, colour_range: str | None) -> dict[str, str]:
    return {
        "colorspace": matrix or "unknown",
        "range": colour_range or "unknown",
        "color_primaries": colour.primaries or "unknown",
        "color_trc": colour.transfer or "unknown",
    }


def _coded_size(info: VideoInfo, codec: Codec) -> tuple[int, int]:
    if not codec.even_sizes:
        return info.width, info.height
    return info.width + info.width % 2, info.height + info.height % 2


def _check_shape(frame: Frame, info: VideoInfo, number: int) -> None:
    shape = FrameShape.of(frame)
    expected = FrameShape(width=info.width, height=info.height, depth=info.depth)
    if shape != expected:
        raise ValueError(f"Output frame {number} is {shape}; it must be {expected}.")


def _raw(frame: Frame, codec: Codec, info: VideoInfo) -> npt.NDArray[Any]:
    """The bytes that ffmpeg reads: little-endian, sizes even where they must be."""
    raw: npt.NDArray[Any] = frame
    if codec.even_sizes and (frame.shape[0] % 2 or frame.shape[1] % 2):
        raw = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
    if raw.dtype == np.uint16:
        if codec.pixel_format(info).startswith("yuv"):
            # libswscale takes 255 * 256 for white when it makes YUV of 16 bits; the reader undoes the same.
            raw = raw - (raw >> 8)
        raw = raw.astype("<u2", copy=False)
    return np.ascontiguousarray(raw)
