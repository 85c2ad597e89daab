"""What a file tells beside pictures and sound: tags, chapters, subtitles, time code, and what of it cannot be carried.

Anybody may have written it: what is kept is short and plain, the rest is told as left out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction

from av.stream import Disposition

from slowmo_pipeline.video.container import OpenVideo

MOST_CHARACTERS = 4000
"""Of a tag or a title."""
_MOST_TAGS = 100
_MOST_CHAPTERS = 1000

_NAME = re.compile(r"[\w][\w .:/+-]{0,63}")
_NOT_PLAIN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LANGUAGE = re.compile(r"[a-z]{3}")
_TIME_CODE = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][:;.][0-9]{2}")

# Of the container itself, or said elsewhere.
_NOT_TAGS = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "creation_time", "duration", "rotate"),
    *("timecode", "handler_name", "vendor_id"),
}
_APPLE = "com.apple.quicktime."
_APPLE_NAMES = {"location.iso6709": "location", "displayname": "title", "creationdate": "date"}


class Metadata:
    """What an open file tells. Moments are microseconds after the first frame."""

    def __init__(self, video: OpenVideo, first_frame_time: Fraction) -> None:
        self._video = video
        self._first_frame_time = first_frame_time
        self._left_out: Counter[str] = Counter()
        self._found: dict[str, object] = {
            "tags": self._bounded("tags", _MOST_TAGS, self._find_tags()),
            "chapters": self._bounded("chapters", _MOST_CHAPTERS, self._find_chapters()),
            "subtitles": list(self._find_subtitles()),
            "time_code": self._find_time_code(),
        }
        self._count_other_streams()

    def found(self) -> dict[str, object]:
        """The fields of a `VideoInfo`."""
        return self._found

    def notes(self) -> Iterator[str]:
        """Yield what is left out, whatever the result will be."""
        for what, count in self._left_out.items():
            yield f"Left out of the result: {what} ({count})."

    def _find_tags(self) -> Iterator[list[str]]:
        told = {name.lower(): value.replace("\r\n", "\n") for name, value in self._video.container.metadata.items()}
        for name, value in told.items():
            plain = _plain_name(name)
            # "location-eng" says in which language "location" is.
            is_said_twice = plain.rpartition("-")[0] in told or (plain != name and plain in told)
            if plain in _NOT_TAGS or is_said_twice:
                continue
            if _is_plain(value) and _NAME.fullmatch(plain):
                yield [plain, value]
            else:
                self._left_out["tags that are too long or hold control characters"] += 1

    def _find_chapters(self) -> Iterator[dict[str, object]]:
        for chapter in self._video.container.chapters():
            title = str(chapter["metadata"].get("title", ""))
            if not _is_plain(title):
                self._left_out["titles of chapters that are too long or hold control characters"] += 1
                title = ""
            tick = chapter["time_base"] or Fraction(0)
            start, end = self._moment(chapter["start"] * tick), self._moment(chapter["end"] * tick)
            yield {"start": start, "end": end, "title": title}

    def _find_subtitles(self) -> Iterator[dict[str, object]]:
        for stream in self._video.container.streams.subtitles:
            context = stream.codec_context
            if context is None or not context.codec.text_sub:
                self._left_out["subtitle streams that are pictures"] += 1
                continue
            if context.name in ("ass", "ssa"):
                self._left_out["styles of subtitles, whose text is kept"] += 1
            language = stream.language if _LANGUAGE.fullmatch(stream.language or "") else None
            is_forced = bool(stream.disposition & Disposition.forced)
            yield {"stream": stream.index, "language": language, "is_forced": is_forced}

    def _find_time_code(self) -> str | None:
        streams = (self._video.stream, *self._video.container.streams.data)
        for told in (self._video.container.metadata, *(stream.metadata for stream in streams)):
            if (time_code := told.get("timecode", told.get("TIMECODE"))) is not None:
                if _TIME_CODE.fullmatch(time_code):
                    return time_code
                self._left_out["time codes that make no sense"] += 1
        return None

    def _count_other_streams(self) -> None:
        streams = self._video.container.streams
        data = [stream for stream in streams.data if "timecode" not in stream.metadata]
        # In MOV and MP4 a track of text holds the chapters.
        tracks_of_chapters = 1 if self._found["chapters"] and any(stream.name == "bin_data" for stream in data) else 0
        for what, count in (
            ("data streams", len(data) - tracks_of_chapters),
            ("attached files", len(streams.attachments)),
            ("cover pictures", len(streams.video) - self._video.video_streams),
        ):
            if count > 0:
                self._left_out[what] = count

    def _moment(self, time: Fraction) -> int:
        return round((time - self._first_frame_time) * 10**6)

    def _bounded(self, what: str, most: int, kept: Iterable[object]) -> list[object]:
        found = list(kept)
        if len(found) > most:
            self._left_out[f"{what} beyond the first {most}"] = len(found) - most
        return found[:most]


def _plain_name(name: str) -> str:
    """A name in small letters as ffmpeg's muxers spell it: Apple's cameras put a prefix in front."""
    if not name.startswith(_APPLE):
        return name
    bare = name.removeprefix(_APPLE)
    return _APPLE_NAMES.get(bare, bare)


def _is_plain(text: str) -> bool:
    return len(text) <= MOST_CHARACTERS and not _NOT_PLAIN.search(text)
