"""Hold the final video against the plan: frame count, duration, and originals where they belong."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from slowmo_pipeline.frames import Frame
from slowmo_pipeline.planning.clock import frame_times
from slowmo_pipeline.steps.inspect_upload import limits_of, unchanged_upload
from slowmo_pipeline.steps.records import ActivePlan, Final
from slowmo_pipeline.steps.samples import Place, sampled_places
from slowmo_pipeline.steps.stage_seconds import note_stage
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.picture import RgbConverter
from slowmo_pipeline.video.reader import Limits, probe
from slowmo_pipeline.video.seeking import frames_at
from slowmo_pipeline.video.traits import bits_of

_COMPARED_WIDTH = 640
"""Pixels; larger frames are thinned out to about this width, evenly in both directions."""

PLACE_TOLERANCE = 1.0
"""dB by which a neighbour may look more like the original than its own place: encoders copy between still frames."""


@dataclass(frozen=True)
class Sample(Place):
    """One frame of the upload, compared with the output at its place and with the outputs beside it."""

    psnr: float
    """dB, over RGB; 100 for equal images."""
    neighbour_psnr: float
    """The better of its two neighbours."""

    @property
    def is_shown(self) -> bool:
        """Whether the output is the frame itself, not a new one near to it."""
        return self.distance == 0

    @property
    def in_place(self) -> bool:
        """Whether no neighbour shows the frame better."""
        return self.psnr >= self.neighbour_psnr - PLACE_TOLERANCE


@dataclass(frozen=True)
class Verified:
    """The final video beside its plan."""

    expected_frames: int
    frames: int
    expected_seconds: Fraction
    seconds: Fraction
    tick: Fraction
    """Seconds; the container cannot tell times any finer."""
    samples: tuple[Sample, ...]

    @property
    def compared(self) -> str:
        """What the samples are, in a sentence."""
        shown = sum(sample.is_shown for sample in self.samples)
        near = len(self.samples) - shown
        if not near:
            return f"Frames that are shown as they are: {shown}."
        return (
            f"Frames that are shown as they are: {shown}. Too few are, so outputs near to another frame were compared "
            f"with it as well: {near}."
        )

    @property
    def is_exact(self) -> bool:
        """Whether frame count and duration are as planned."""
        return self.frames == self.expected_frames and abs(self.seconds - self.expected_seconds) <= self.tick


def verify(storage: Storage, active: ActivePlan, final: Final) -> Verified:
    """Decode the final video once, and of the upload what the samples take."""
    began = time.monotonic()
    places = sampled_places(active.plan)
    collected = _Collected({place.output for place in places}, active.info)
    with storage.local_file(final.key) as path:
        found = probe(path, limits=result_limits(active), on_picture=collected)
    with storage.local_upload(unchanged_upload(storage, active.source)) as path:
        samples = _compare(path, active.info, places, collected.outputs)
    times = frame_times(
        found.ticks, found.time_base, last_duration=found.last_duration_ticks, declared_rate=found.declared_rate
    )
    timeline = active.plan.timeline
    note_stage(storage, active.video_id, "verify", of=final.sha256, seconds=time.monotonic() - began)
    return Verified(
        expected_frames=timeline.output_count,
        frames=found.frame_count,
        expected_seconds=timeline.duration,
        seconds=times.end * times.time_base,
        tick=found.time_base,
        samples=samples,
    )


class _Collected:
    """Keeps the outputs to compare while the final video is decoded."""

    def __init__(self, outputs: set[int], info: VideoInfo) -> None:
        self._wanted = {output + offset for output in outputs for offset in (-1, 0, 1)}
        self._info = info
        self._converter: RgbConverter | None = None
        self.outputs: dict[int, npt.NDArray[np.float32]] = {}

    def __call__(self, number: int, picture: VideoFrame) -> None:
        if number not in self._wanted:
            return
        depth = 8 if bits_of(picture.format) <= 8 else 16
        self._converter = self._converter or RgbConverter(depth=depth, headroom=self._info.headroom)
        # Odd sizes were padded for 4:2:0.
        frame = self._converter.frame(picture)[: self._info.height, : self._info.width]
        self.outputs[number] = _thinned(frame)


def _compare(
    upload: Path, info: VideoInfo, places: Sequence[Place], outputs: Mapping[int, npt.NDArray[np.float32]]
) -> tuple[Sample, ...]:
    frames = frames_at(upload, info, [place.frame for place in places])
    return tuple(_sample(place, _thinned(frame), outputs) for place, (_, frame) in zip(places, frames, strict=True))


def _sample(place: Place, frame: npt.NDArray[np.float32], outputs: Mapping[int, npt.NDArray[np.float32]]) -> Sample:
    own, before, after = (
        _psnr(frame, outputs[output]) if output in outputs else 0.0
        for output in (place.output, place.output - 1, place.output + 1)
    )
    return Sample(place.frame, place.output, place.distance, own, max(before, after))


def _thinned(frame: Frame) -> npt.NDArray[np.float32]:
    step = max(frame.shape[1] // _COMPARED_WIDTH, 1)
    thinned: npt.NDArray[np.float32] = frame[::step, ::step].astype(np.float32)
    thinned /= np.iinfo(frame.dtype).max
    return thinned


def _psnr(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    error = float(np.mean(np.square(one - other)))
    return 100.0 if error == 0 else min(-10 * math.log10(error), 100.0)


def result_limits(active: ActivePlan) -> Limits:
    """The result may be larger than an upload may be: it is slower."""
    limits = limits_of(active.source.settings)
    timeline = active.plan.timeline
    return Limits(
        max_bytes=2**63,
        max_pixels=limits.max_pixels * 2,
        max_frames=2 * timeline.output_count,
        max_seconds=2 * math.ceil(timeline.duration),
    )
