"""The sound of a source, decoded once and put where its frames are: file order in, source time out.

Time stamps that start again or jump do so for sound and pictures alike. The shifts that made one line of the pictures'
times place the sound as well; where nothing was recorded there is silence, and what comes twice is heard once.
"""

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import time_base
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.samples import Samples
from slowmo_pipeline.video.sound_streams import UsedSound, used_sound

SAMPLE_RATE = 48000
"""Samples per second of the result's sound: what video uses, as far as the source does not use 44,100."""

_JITTER = Fraction(1, 100)
"""Seconds by which a time stamp may differ from the count of samples: containers round to milliseconds."""

_BEYOND = Fraction(1)
"""Seconds of sound that are kept at both ends for the windows there; nothing recorded lies so far out of order."""


_DELAYS = {"mp3": 1105, "mp2": 481, "aac": 1024, "ac3": 256}
"""Samples before the first that was recorded, which encoders need. AVI, unlike others, cannot say so."""

_LOUDEST = 8
"""Full scales; decoders go beyond one, and encoders take what does."""


class NoSoundError(Exception):
    """No sound of a source decodes."""


class SoundTrack:
    """Sound on the source's time line, in a file: 0 is the sample at the first frame."""

    def __init__(self, file: IO[bytes], *, channels: int, rate: int, first: int) -> None:
        self.channels = channels
        self.rate = rate
        self.losses: list[str] = []
        """What could not be used, a sentence each."""
        self._file = file
        self._first = first

    def read(self, begin: int, end: int) -> Samples:
        """The samples from one place to another, as a new array; silence where there are none."""
        sound = np.zeros((self.channels, end - begin), np.float32)
        inside = max(begin, self._first)
        if inside < end:
            self._seek(inside)
            there = np.frombuffer(self._file.read((end - inside) * self.channels * 4), np.float32)
            there = there[: len(there) // self.channels * self.channels].reshape(-1, self.channels).T
            sound[:, inside - begin : inside - begin + there.shape[1]] = there
        return sound

    def add(self, begin: int, sound: Samples) -> None:
        """Mix samples into what is there."""
        cut = max(0, self._first - begin)
        if cut < sound.shape[1]:
            begin += cut
            mixed = self.read(begin, begin + sound.shape[1] - cut) + sound[:, cut:]
            self._seek(begin)
            self._file.write(np.ascontiguousarray(mixed.T, np.float32).tobytes())

    def _seek(self, sample: int) -> None:
        self._file.seek((sample - self._first) * self.channels * 4)


@contextmanager
def sound_track(path: Path, info: VideoInfo, *, begin: Fraction, end: Fraction, folder: Path) -> Iterator[SoundTrack]:
    """The sound from one second of the source to another, decoded into a file in `folder` that goes with the block.

    Raises NoSoundError, or what `open_video` raises.
    """
    with open_video(path, max_pixels=info.width * info.height) as video, tempfile.TemporaryFile(dir=folder) as file:
        used = used_sound(video)
        if used is None:
            raise NoSoundError("no decoder for it is known.")
        rate = used.streams[0].rate if used.streams[0].rate == 44100 else SAMPLE_RATE
        first = int((begin - _BEYOND) * rate)
        track = SoundTrack(file, channels=used.channels, rate=rate, first=first)
        if info.part is not None and info.part.start:
            # Decoders need a little before what they give back whole.
            sought = info.ticks[0] * info.time_base + begin - 2 * _BEYOND
            video.container.seek(math.floor(sought / time_base(video)), stream=video.stream)
        _decode(video, used, track, info, end + _BEYOND)
        yield track


def _decode(video: OpenVideo, used: UsedSound, track: SoundTrack, info: VideoInfo, end: Fraction) -> None:
    clock = _Clock(info)
    channels = {
        stream.index: _Channel(stream, used, track, clock, end, _delay(video, stream)) for stream in used.streams
    }
    damaged = 0
    try:
        for packet in video.container.demux(*used.streams):
            channel = channels[packet.stream.index]
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    channel.put(frame)
            if all(channel.beyond > _BEYOND for channel in channels.values()):
                break
    except av.FFmpegError:
        track.losses.append("The container breaks off with an error: what sound lies behind it is not used.")
    for channel in channels.values():
        channel.finish()
    if not any(channel.has_decoded for channel in channels.values()):
        raise NoSoundError("nothing of it decodes.")
    if damaged:
        track.losses.append(f"Damaged packets of sound: {damaged} are left silent.")


def _delay(video: OpenVideo, stream: AudioStream) -> int:
    return _DELAYS.get(stream.codec_context.codec.canonical_name, 0) if video.demuxer == "avi" else 0


class _Clock:
    """From the container's clock to seconds after the first frame."""

    def __init__(self, info: VideoInfo) -> None:
        first = info.ticks[0]
        # The ticks of the pictures, which go on, and what the container's clock shows there.
        starts = [(info.ticks[each.frame], each.container_tick) for each in info.stretches]
        if info.clip_tick < first:
            # What lies before a part is as the clip began, that its sound is not taken for the part's.
            starts.insert(0, (info.clip_tick, info.clip_tick))
        ends = [*(tick for tick, _ in starts[1:]), info.ticks[-1]]
        self._stretches = [
            ((tick - first) * info.time_base, (end - first) * info.time_base, (tick - first - shown) * info.time_base)
            for (tick, shown), end in zip(starts, ends, strict=True)
        ]
        self.begin = self._stretches[0][0]
        """Seconds after the first frame at which the clip begins."""

    def source_time(self, shown: Fraction, *, expected: Fraction) -> Fraction:
        """Where sound belongs by what the clock shows at it, of several places the next one after the sound before."""
        places = [shown + shift for _, _, shift in self._stretches]
        following = [
            place
            for place, (start, end, _) in zip(places, self._stretches, strict=True)
            if start - _BEYOND <= place <= end + _BEYOND and place >= expected - _BEYOND / 2
        ]
        return min(following or places, key=lambda place: abs(place - expected))


class _Channel:
    """One stream, being written: its samples follow each other while its time stamps say so."""

    def __init__(
        self, stream: AudioStream, used: UsedSound, track: SoundTrack, clock: _Clock, end: Fraction, delay: int
    ) -> None:
        self.has_decoded = False
        self.beyond = Fraction(0)
        """Seconds of sound since the last that lay before the end: one time stamp may be wrong."""
        self._end = end
        self._delay = delay
        self._reached = clock.begin
        """Seconds of the source up to which there is sound."""
        self._stream = stream
        self._used = used
        self._track = track
        self._clock = clock
        self._format: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None
        self._next = 0
        """The sample that comes next out of the resampler."""
        self._written: int | None = None
        """The sample before which all is written."""

    def put(self, frame: AudioFrame) -> None:
        """Write a frame's samples to where they belong."""
        if not frame.samples or not frame.sample_rate:
            return
        self.has_decoded = True
        begin, length = self._begin_of(frame), Fraction(frame.samples, frame.sample_rate)
        if begin > self._end:
            self.beyond += length
            return
        self.beyond = Fraction(0)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._format or abs(begin - self._reached) > _JITTER:
            self.finish()
            self._format = kind
            self._resampler = AudioResampler(format="flt", layout=frame.layout, rate=self._track.rate)
            self._next = round(begin * self._track.rate)
            self._reached = begin
        self._reached += length
        # Its place is counted here, and a time that jumps would be refused.
        frame.pts = None
        self._write(self._resampler.resample(frame))

    def finish(self) -> None:
        """Write what the resampler holds back."""
        if self._resampler is not None:
            self._write(self._resampler.resample(None))
            self._resampler = None

    def _begin_of(self, frame: AudioFrame) -> Fraction:
        if frame.pts is None or frame.time_base is None:
            return self._reached
        shown = frame.pts * frame.time_base - Fraction(self._delay, frame.sample_rate)
        return self._clock.source_time(shown, expected=self._reached)

    def _write(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            names = [channel.name for channel in frame.layout.channels]
            gains = np.array(self._used.gains(self._stream, names), np.float32)
            # Samples in turn: with a plane for each, PyAV 18 crashes at the ninth channel.
            channels = frame.to_ndarray().reshape(-1, len(names)).T
            # Stored as floats they may be anything, once damaged.
            sound = gains @ np.clip(np.nan_to_num(channels), -_LOUDEST, _LOUDEST)
            begin, self._next = self._next, self._next + sound.shape[1]
            twice = 0 if self._written is None else max(0, self._written - begin)
            self._track.add(begin + twice, sound[:, twice:])
            self._written = max(self._next, self._written or self._next)
