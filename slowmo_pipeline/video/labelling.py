"""What a file tells beside pictures and sound, put into the result at its new times, by one more run of ffmpeg.

Nothing of it reaches ffmpeg's command line but what was checked: tags and chapters go by a file, escaped.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import ffmpeg

from slowmo_pipeline.errors import EncodeError, EncoderKilledError
from slowmo_pipeline.video.binary import generous_timeout, run_graph
from slowmo_pipeline.video.info import Chapter, SubtitleTrack, VideoInfo
from slowmo_pipeline.video.subtitles import read_subtitles, retimed
from slowmo_pipeline.video.writer import CODECS, file_options

At = Callable[[Fraction], Fraction]
"""From seconds after the first frame of the source to seconds after the first frame of the result."""

_TAGS: Mapping[str, frozenset[str]] = {
    ".mp4": frozenset(
        (
            *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright"),
            *("grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords"),
            *("track", "disc", "location"),
        )
    ),
    ".mov": frozenset(
        ("title", "artist", "album", "date", "comment", "genre", "copyright", "make", "model", "location")
    ),
}
"""What ffmpeg's muxers write; Matroska's takes any name."""

_SUBTITLES = {".mp4": "mov_text", ".mov": "mov_text", ".mkv": "subrip"}

_TICKS = 10**6

_Span = tuple[int, int, str]
"""Start, end and title of a chapter."""

_ESCAPED = re.compile(r"([=;#\\\n])")


@dataclass(frozen=True)
class Times:
    """The result's clock beside the source's."""

    at: At
    duration: Fraction
    """Of the result, seconds."""
    frame_rate: Fraction
    """Of the result."""
    source_rate: Fraction
    """Frames a second of the source, on average where it varies."""


def left_out(info: VideoInfo, codec: str, times: Times) -> Iterator[str]:
    """Yield a sentence for each thing that the source tells and a result of this codec does not."""
    held = _TAGS.get(CODECS[codec].suffix)
    if held is not None and (names := sorted(name for name, _ in info.tags if name not in held)):
        yield f"Left out of the result, whose container has no place for them: the tags {', '.join(names)}."
    if info.time_code is not None and _time_code(info, times) is None:
        yield f"The time code {info.time_code} is left out: it counts frames of another rate than the result's."
    elif info.time_code is not None:
        yield f"The time code begins with the source's, {info.time_code}, and counts the frames of the result."
    if CODECS[codec].hdr_options is None and (info.mastering_display or info.light_level):
        yield "Mastering display and light level are left out of the result: h264 and h265 carry them."


def label(
    path: Path, video: Path, *, source: Path, info: VideoInfo, codec: str, times: Times
) -> tuple[Path, list[str]]:
    """Write `path`: `video` as it is, with what the source tells. Returns it, or `video` where there is nothing to add.

    With it comes a sentence for each subtitle stream that cannot be read. Raises EncodeError; then no file is left, and
    `video` is untouched.
    """
    kind = CODECS[codec]
    told = "".join(_told(info, kind.suffix, times))
    subtitles, lost = _subtitles(source, info, times, path.parent)
    if not told and not subtitles:
        return video, lost
    labels = path.with_suffix(".txt")
    labels.write_text(f";FFMETADATA1\n{told}", encoding="utf-8")
    options = {"c:v": "copy", "c:a": "copy", "c:s": _SUBTITLES[kind.suffix], "flags:s": "+bitexact"}
    for number, (track, _) in enumerate(subtitles):
        if track.language is not None:
            options[f"metadata:s:s:{number}"] = f"language={track.language}"
        if track.is_forced:
            options[f"disposition:s:{number}"] = "forced"
    graph = ffmpeg.output(
        ffmpeg.input(f"file:{video.absolute()}"),
        # No stream is in it. It has to be mapped all the same, or it would not be among the inputs.
        ffmpeg.input(f"file:{labels.absolute()}", format="ffmetadata")["v?"],
        *(ffmpeg.input(f"file:{text.absolute()}", format="srt") for _, text in subtitles),
        f"file:{path.absolute()}",
        copyts=None,
        **{**file_options(info, kind), **options, "map_metadata": "1", "map_chapters": "1"},
    )
    try:
        run_graph(graph, purpose=f"Labelling {path.name}", timeout=generous_timeout(times.duration))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path, lost


def _told(info: VideoInfo, suffix: str, times: Times) -> Iterator[str]:
    """Lines of ffmpeg's own format for metadata."""
    held = _TAGS.get(suffix)
    for name, value in info.tags:
        if held is None or name in held:
            yield f"{_escaped(name)}={_escaped(value)}\n"
    if (time_code := _time_code(info, times)) is not None:
        yield f"timecode={time_code}\n"
    chapters = _moved(info.chapters, times)
    for start, end, title in chapters if suffix == ".mkv" else _without_gaps(chapters):
        yield f"[CHAPTER]\nTIMEBASE=1/{_TICKS}\nSTART={start}\nEND={end}\ntitle={_escaped(title)}\n"


def _moved(chapters: Iterable[Chapter], times: Times) -> list[_Span]:
    """Those that the result shows something of, in the order of their starts."""

    def moved(edge: int) -> int:
        return round(min(times.at(max(Fraction(edge, _TICKS), Fraction(0))), times.duration) * _TICKS)

    spans = [(moved(chapter.start), moved(chapter.end), chapter.title) for chapter in chapters]
    return sorted(span for span in spans if span[0] < span[1])


def _without_gaps(spans: Sequence[_Span]) -> Iterator[_Span]:
    """In MP4 and MOV a chapter lasts to the next one, and ffmpeg has the first begin at 0: gaps get untitled ones."""
    reached = 0
    for (start, end, title), following in zip_longest(spans, spans[1:]):
        if reached < start:
            yield reached, start, ""
        reached = end if following is None else min(end, following[0])
        if start < reached:
            yield start, reached, title


def _escaped(text: str) -> str:
    return _ESCAPED.sub(r"\\\1", text)


def _time_code(info: VideoInfo, times: Times) -> str | None:
    """The time code that the result can begin with: frames are counted at its own rate."""
    code, rate = info.time_code, times.frame_rate
    if code is None or rate != times.source_rate or int(code[-2:]) >= rate:
        return None
    drops_frames = code[-3] in ";."
    return code if not drops_frames or rate in (Fraction(30000, 1001), Fraction(60000, 1001)) else None


def _subtitles(
    source: Path, info: VideoInfo, times: Times, folder: Path
) -> tuple[list[tuple[SubtitleTrack, Path]], list[str]]:
    """Files of SubRip at the result's times, and a sentence for each stream that cannot be read."""
    found, lost = list[tuple[SubtitleTrack, Path]](), list[str]()

    def at(time: Fraction) -> Fraction:
        return times.at(max(time - info.first_frame_time, Fraction(0)))

    for track in info.subtitles:
        try:
            text = retimed(read_subtitles(source, track.stream, folder), at, duration=times.duration)
        except EncoderKilledError:
            raise
        except EncodeError as error:
            lost.append(f"The subtitles of stream {track.stream} are lost: {error}")
            continue
        if text:
            file = folder / f"{track.stream}.retimed.srt"
            file.write_text(text, encoding="utf-8")
            found.append((track, file))
    return found, lost
