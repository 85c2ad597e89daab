"""Which sound streams of a video are used, and where each of their channels goes.

Imports no NumPy, as does all that looks at an upload (see examination.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.stream import Disposition

from slowmo_pipeline.video.container import OpenVideo

_LAYOUTS: dict[int, tuple[str, ...]] = {
    1: ("FC",),
    2: ("FL", "FR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
"""What ffmpeg takes so many channels for: mono, stereo, 5.1 and 7.1. AAC holds each, and so do players."""

_SIDE = 0.7071
"""What a speaker other than the front ones adds to stereo: half its power (ITU-R BS.775)."""

_SPEAKERS = ("F", "B", "S", "T", "W", "D", "LFE")
"""How ffmpeg's names of channels begin that have a place in a room."""

# Tracks that say what they are for are no channel of another.
_OF_THEIR_OWN = (
    Disposition.dub
    | Disposition.comment
    | Disposition.lyrics
    | Disposition.karaoke
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.clean_effects
)


@dataclass(frozen=True)
class UsedSound:
    """The streams that are used: one, or several of one channel each that belong together."""

    streams: tuple[AudioStream, ...]
    names: tuple[str, ...]
    """ffmpeg's names of their channels, "FL" say; empty where these do not tell where each belongs."""
    source_channels: int

    @property
    def channels(self) -> int:
        """Of the result: 1, 2, 6 or 8. Anything else is mixed down to two."""
        if self.source_channels == 1:
            return 1
        kept = (count for count, layout in _LAYOUTS.items() if count > 2 and sorted(layout) == sorted(self.names))
        return next(kept, 2)

    def gains(self, stream: AudioStream, names: Sequence[str]) -> list[list[float]]:
        """For each channel of the result how much of each channel of a stream's it gets, without ever clipping.

        `names` are those of the channels as they decode, which may change on the way.
        """
        if len(self.streams) == 1:
            return _gains(_placed(names) or _in_turn(len(names)), self.channels)
        place = self.streams.index(stream)
        gains = _gains(self.names or _in_turn(len(self.streams)), self.channels)
        # A track of one channel may decode to more: each gets its share.
        return [[row[place] / len(names)] * len(names) for row in gains]


def used_sound(video: OpenVideo) -> UsedSound | None:
    """The default stream, else the first; with it those of one channel each that make it stereo or more.

    None where no stream can be decoded.
    """
    known = [stream for stream in video.container.streams.audio if stream.codec_context is not None]
    if not known:
        return None
    chosen = next((stream for stream in known if stream.disposition & Disposition.default), known[0])
    channels = [stream for stream in known if _belongs(stream, chosen)]
    if len(channels) > 1:
        # Containers that do not say where a channel belongs call each of them mono.
        names = tuple(stream.layout.channels[0].name for stream in channels)
        return UsedSound(tuple(channels), _placed(names), len(channels))
    return UsedSound((chosen,), _placed(_names(chosen)), len(_names(chosen)))


def sound_notes(video: OpenVideo) -> Iterator[str]:
    """What a person should know about the choice of sound, a sentence each."""
    used = used_sound(video)
    if used is None:
        if video.sound_streams:
            yield "No decoder for its sound is known: the result is silent."
        return
    if len(used.streams) > 1:
        of_all = f" of {video.sound_streams}" if len(used.streams) < video.sound_streams else ""
        yield f"{len(used.streams)} sound streams{of_all} of one channel each: {_joined_as(used)}."
    elif video.sound_streams > 1:
        number = video.container.streams.audio.index(used.streams[0]) + 1
        chosen = "the first" if number == 1 else f"number {number}, the default one,"
        yield f"{video.sound_streams} sound streams: {chosen} is used."
    if len(used.streams) == 1 and used.channels < used.source_channels:
        yield f"The sound has {used.source_channels} channels: it is mixed down to stereo."


def _belongs(stream: AudioStream, chosen: AudioStream) -> bool:
    if stream is chosen:
        return True
    both = (stream, chosen)
    return all(len(_names(each)) == 1 and not each.disposition & _OF_THEIR_OWN for each in both) and (
        stream.language == chosen.language
    )


def _names(stream: AudioStream) -> list[str]:
    return [channel.name for channel in stream.layout.channels]


def _joined_as(used: UsedSound) -> str:
    if used.channels > 2:
        return "they are used as one of surround sound"
    if len(used.streams) == 2 or used.names:
        return "they are used as left and right"
    return "in turn they are mixed into left and right"


def _placed(names: Sequence[str]) -> tuple[str, ...]:
    """The names, unless they do not tell: recorders number their channels, and more than 8 are such tracks."""
    if len(names) == 1:
        return ("FC",)
    if len(names) > 8 or len(set(names)) < len(names) or not all(name.startswith(_SPEAKERS) for name in names):
        return ()
    # 5.1 comes with its surround channels at the sides or behind: it is the same.
    sides = {} if "BL" in names else {"SL": "BL", "SR": "BR"}
    return tuple(sides.get(name, name) for name in names)


def _in_turn(count: int) -> tuple[str, ...]:
    return tuple("FR" if number % 2 else "FL" for number in range(count))


def _gains(names: Sequence[str], channels: int) -> list[list[float]]:
    layout = _LAYOUTS[channels]
    columns = [_column(name, layout) for name in names]
    rows = [list(row) for row in zip(*columns, strict=True)]
    most = max((sum(row) for row in rows), default=0)
    return [[gain / most if most else 0.0 for gain in row] for row in rows]


def _column(name: str, layout: tuple[str, ...]) -> list[float]:
    """How much of a channel each channel of the result gets."""
    if name in layout:
        return [float(name == each) for each in layout]
    if name.startswith("LFE"):
        return [0.0] * len(layout)
    gain = 1.0 if name in ("FL", "FR") else _SIDE
    if layout == ("FC",):
        return [gain]
    left, right = "R" not in name, "L" not in name
    return [gain * {"FL": left, "FR": right}.get(each, False) for each in layout]
