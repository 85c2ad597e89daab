"""Holds the `flow` interpolator against ffmpeg's minterpolate and a plain blend: `python -m benchmarks.quality`.

Every second frame of three real clips is taken out and made again from its neighbours. The score is the PSNR over R, G
and B of each frame, averaged over the frames; frames whose neighbours are more than 45 dB alike are left out, as there
nothing moves. Of minterpolate the best alignment counts: its output, shifted by the whole number of frames that suits
it best. It receives the clip's own YUV 4:2:0, which suits it better than RGB.

Time is core seconds (user and system) for each new frame, both on one thread and from decoded frames, for at most
the first 30 gaps of a clip: the least of some runs that take turns. ffmpeg's start and its reading, measured without
the filter, are not counted against it.

Fails unless flow is better than minterpolate on each of bikes, bigbuckbunny and carphone, by 1 dB in the mean, and no
slower on any of them when making one frame a gap.
"""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from imageio_ffmpeg import get_ffmpeg_exe
from rich.console import Console
from rich.table import Table

from benchmarks.clips import clip as clip_path
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.interpolation.flow.interpolator import FlowInterpolator

CLIPS = ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")
MINTERPOLATE = "minterpolate=fps={rate}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none"
NOTHING_MOVES_DB = 45.0
WANTED_GAIN_DB = 1.0
OFFSETS = range(-2, 3)
TIMED_GAPS = 30
RUNS = 3

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """All frames of a clip, and every second one of them as ffmpeg reads it."""

    name: str
    frames: list[Image]
    raw: Path
    """YUV 4:2:0 of frames 0, 2, 4, …"""

    @property
    def sources(self) -> list[Image]:
        """Frames 0, 2, 4, …: what the new frames are made of."""
        return self.frames[::2]

    @property
    def removed(self) -> list[int]:
        """Numbers of the frames to make again: those between two sources that differ."""
        between = range(1, len(self.frames) - 1, 2)
        return [i for i in between if psnr(self.frames[i - 1], self.frames[i + 1]) <= NOTHING_MOVES_DB]


@dataclass(frozen=True)
class Score:
    """PSNR in dB; core seconds for each new frame by how many frames there are for one, 2 and 4."""

    clip: str
    flow: float
    minterpolate: float
    blend: float
    flow_seconds: dict[int, float]
    minterpolate_seconds: dict[int, float]


def psnr(image: Frame, truth: Image) -> float:
    """Peak signal-to-noise ratio over all pixels and channels, in dB."""
    error = float(np.mean((image.astype(np.float32) - truth) ** 2))
    return 10 * np.log10(255**2 / error) if error else np.inf


def read_clip(name: str, folder: Path) -> Clip:
    raw = folder / f"{name}.yuv"
    frames: list[Image] = []
    with av.open(str(clip_path(name))) as container, raw.open("wb") as file:
        for frame in container.decode(video=0):
            if len(frames) % 2 == 0:
                file.write(frame.to_ndarray(format="yuv420p").tobytes())
            frames.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
    return Clip(name, frames, raw)


def beginning(clip: Clip) -> Clip:
    """The clip's first sources, enough to time."""
    frames = clip.frames[: 2 * TIMED_GAPS + 1]
    height, width, _ = frames[0].shape
    raw = clip.raw.with_suffix(".beginning")
    with clip.raw.open("rb") as whole:
        raw.write_bytes(whole.read(len(frames[::2]) * height * width * 3 // 2))
    return Clip(clip.name, frames, raw)


def render(clip: Clip, factor: int) -> Iterator[Frame]:
    times = [Fraction(step, factor) for step in range(1, factor)]
    return FlowInterpolator().render(clip.sources, [times] * (len(clip.sources) - 1))


def ffmpeg(clip: Clip, video_filter: str, *output: str) -> bytes:
    height, width, _ = clip.frames[0].shape
    decoded = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", f"{width}x{height}", "-framerate", "25")
    one_thread = ("-threads", "1", "-filter_threads", "1")
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", *one_thread, *decoded, "-i", str(clip.raw)]
    return subprocess.run([*command, "-vf", video_filter, *output, "-"], check=True, capture_output=True).stdout


def minterpolate(clip: Clip, factor: int) -> str:
    return MINTERPOLATE.format(rate=25 * factor)


def minterpolate_psnr(clip: Clip) -> float:
    """The mean PSNR at the offset that suits it best."""
    raw = ffmpeg(clip, minterpolate(clip, 2), "-f", "rawvideo", "-pix_fmt", "rgb24")
    made = np.frombuffer(raw, np.uint8).reshape(-1, *clip.frames[0].shape)

    def mean_at(offset: int) -> float:
        return mean([psnr(made[i + offset], clip.frames[i]) for i in clip.removed if 0 <= i + offset < len(made)])

    return max(mean_at(offset) for offset in OFFSETS)


def core_seconds(work: Callable[[], object], who: int) -> float:
    """User and system time that `work` costs this process (RUSAGE_SELF) or its children (RUSAGE_CHILDREN)."""
    start = resource.getrusage(who)
    work()
    end = resource.getrusage(who)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


def measure_seconds(clip: Clip, factor: int) -> tuple[float, float]:
    """Core seconds for a new frame: flow, minterpolate."""

    clip = beginning(clip)

    def run_ffmpeg(video_filter: str) -> None:
        ffmpeg(clip, video_filter, "-f", "null")

    def run_flow() -> None:
        for _ in render(clip, factor):
            pass

    flow: list[float] = []
    filtered: list[float] = []
    unfiltered: list[float] = []
    for _ in range(RUNS):
        flow.append(core_seconds(run_flow, resource.RUSAGE_SELF))
        filtered.append(core_seconds(lambda: run_ffmpeg(minterpolate(clip, factor)), resource.RUSAGE_CHILDREN))
        unfiltered.append(core_seconds(lambda: run_ffmpeg("null"), resource.RUSAGE_CHILDREN))
    new_frames = (len(clip.sources) - 1) * (factor - 1)
    return min(flow) / new_frames, (min(filtered) - min(unfiltered)) / new_frames


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def score(clip: Clip) -> Score:
    made = list(render(clip, 2))
    frames = clip.frames
    blends = {i: ((frames[i - 1].astype(np.uint16) + frames[i + 1] + 1) // 2).astype(np.uint8) for i in clip.removed}
    seconds = {factor: measure_seconds(clip, factor) for factor in (2, 4)}
    return Score(
        clip.name,
        flow=mean([psnr(made[i // 2], frames[i]) for i in clip.removed]),
        minterpolate=minterpolate_psnr(clip),
        blend=mean([psnr(blends[i], frames[i]) for i in clip.removed]),
        flow_seconds={factor: spent[0] for factor, spent in seconds.items()},
        minterpolate_seconds={factor: spent[1] for factor, spent in seconds.items()},
    )


def table(scores: Sequence[Score]) -> Table:
    shown = Table()
    shown.add_column("clip", no_wrap=True)
    for heading in ("flow dB", "minterpolate dB", "blend dB", "flow ms, 2x / 4x", "minterpolate ms, 2x / 4x"):
        shown.add_column(heading, justify="right")
    for row in scores:
        qualities = [f"{decibel:.2f}" for decibel in (row.flow, row.minterpolate, row.blend)]
        times = [
            " / ".join(f"{1000 * seconds:.1f}" for seconds in by_factor.values())
            for by_factor in (row.flow_seconds, row.minterpolate_seconds)
        ]
        shown.add_row(Path(row.clip).stem, *qualities, *times)
    return shown


def shortcomings(scores: Sequence[Score]) -> list[str]:
    """What flow fails to reach, in words."""
    found = [f"{row.clip}: minterpolate is better" for row in scores if row.flow <= row.minterpolate]
    found += [
        f"{row.clip}: minterpolate is faster" for row in scores if row.flow_seconds[2] > row.minterpolate_seconds[2]
    ]
    gain = mean([row.flow - row.minterpolate for row in scores])
    return found if gain >= WANTED_GAIN_DB else [*found, f"the mean gain is {gain:.2f} dB, less than {WANTED_GAIN_DB}"]


def main() -> None:
    cv2.setNumThreads(1)
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        scores = [score(read_clip(name, Path(folder))) for name in CLIPS]
    console.print(table(scores))
    gain = mean([row.flow - row.minterpolate for row in scores])
    console.print(f"Mean gain over minterpolate: {gain:.2f} dB. Times are core milliseconds for a new frame.")
    version = subprocess.run([get_ffmpeg_exe(), "-version"], check=True, capture_output=True, text=True).stdout
    for line in (f"{FlowInterpolator().model_id}, OpenCV {cv2.__version__}", version.splitlines()[0], MINTERPOLATE):
        console.print(line, soft_wrap=True, highlight=False)
    if failures := shortcomings(scores):
        sys.exit("; ".join(failures))


if __name__ == "__main__":
    main()
