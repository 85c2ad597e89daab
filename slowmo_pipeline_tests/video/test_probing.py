"""Uploads looked at in a process of their own: what they claim fills no memory, and what is large and true passes."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import psutil
import pytest

from slowmo_pipeline.errors import UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.video.container import MAX_STREAMS
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline.video.reader import Limits, probe
from slowmo_pipeline_tests.support.atoms import fragment, movie, pictures, sound
from slowmo_pipeline_tests.support.media import grey_frames, joined, run_ffmpeg, write_clip

pytestmark = pytest.mark.starts_python

LIMITS = Limits(max_bytes=10**9, max_pixels=8192 * 4320, max_frames=1_000_000, max_seconds=4 * 3600)


def jpegs(count: int) -> list[bytes]:
    """So many JPEG pictures of 64x48, all of the same length."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuvj420p", Fraction(1, 25)
    frames = (av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuvj420p") for frame in grey_frames(count))
    images = [bytes(packet) for frame in frames for packet in encoder.encode(frame)]
    return [image.ljust(max(map(len, images)), b"\0") for image in images]


def real_pictures_and(*tracks: bytes) -> bytes:
    """A file of four pictures that decode, beside other tracks."""
    images = jpegs(4)
    size = len(images[0])
    offset = len(movie(pictures(4, size=size), *tracks))
    return movie(pictures(4, size=size, offset=offset), *tracks, data=b"".join(images))


CLAIMS = {
    "pictures": movie(pictures(2**25)),
    "pictures, and their times": movie(pictures(2**24, claimed_ctts=2**31 - 1)),
    "pictures in fragments": movie(pictures(0), fragments=fragment(2**20, runs=20)),
    "sound beside good pictures": real_pictures_and(sound(2**25)),
    "more than libavformat allocates": movie(pictures(2**27)),
}


LOOK = """
import resource, sys
from pathlib import Path
from slowmo_pipeline.errors import VideoTooLargeError
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline_tests.video.test_probing import LIMITS

try:
    probe_apart(Path(sys.argv[1]), limits=LIMITS)
except VideoTooLargeError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A process of its own: the kernel tells the most that any child of a process has taken, and tests have many."""


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_a_header_claims_fills_no_memory(tmp_path: Path, claim: str) -> None:
    """Five kilobytes took gigabytes; refused those, libavformat goes on with an empty index and says nothing."""
    (tmp_path / "clip.mov").write_bytes(CLAIMS[claim])
    assert len(CLAIMS[claim]) < 20_000
    command = [sys.executable, "-c", LOOK, str(tmp_path / "clip.mov")]
    reason, kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    assert re.match(r"clip\.mov (takes too much memory|holds no frame .* but claims 13)", reason)
    assert int(kilobytes) < 1024**2


def test_index_of_a_long_clip_passes(tmp_path: Path) -> None:
    """As many entries as four hours of 60 frames a second have, with four sound tracks."""
    (tmp_path / "clip.mov").write_bytes(real_pictures_and(*(sound(900_000, number=number) for number in range(2, 6))))
    assert probe_apart(tmp_path / "clip.mov", limits=LIMITS).frame_count == 4


def test_clip_of_8192x4320_passes(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=s=8192x4320:r=24", "-frames:v", "2", "-preset", "ultrafast", str(clip))
    info = probe_apart(clip, limits=LIMITS)
    assert (info.width, info.height, info.frame_count) == (8192, 4320, 2)


def many_streams(path: Path, count: int) -> Path:
    """So many streams of one clip, in the container of the suffix."""
    clip = write_clip(path.with_name("one.mkv"), grey_frames(2), codec="mpeg4")
    run_ffmpeg("-i", str(clip), *["-map", "0"] * count, "-c", "copy", str(path))
    return path


@pytest.mark.parametrize("suffix", ["mov", "mkv", "ts", "nut"])
def test_more_streams_than_anybody_needs_are_refused(tmp_path: Path, suffix: str) -> None:
    clip = many_streams(tmp_path / f"clip.{suffix}", MAX_STREAMS + 5)
    with pytest.raises(VideoTooLargeError, match=rf"^clip\.{suffix} holds more than {MAX_STREAMS} streams"):
        probe_apart(clip, limits=LIMITS)


@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_as_many_streams_as_may_be_pass(tmp_path: Path, suffix: str) -> None:
    clip = many_streams(tmp_path / f"clip.{suffix}", MAX_STREAMS)
    assert probe_apart(clip, limits=LIMITS).notes[0] == f"{MAX_STREAMS} video streams: the first is used."


def test_it_finds_what_probing_in_this_process_finds(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / f"{ticks}.mkv", grey_frames(4), ticks=[0, 40, 90, ticks]) for ticks in (130, 500)]
    clip = joined(tmp_path / "ä ö, 100%.mkv", *clips)
    frames: list[int] = []
    assert probe_apart(clip, limits=LIMITS, on_frame=frames.append) == probe(clip, limits=LIMITS)
    assert frames == [1, 2, 3, 4]


def test_limits_and_damage_are_told_as_ever(tmp_path: Path) -> None:
    clip, text = write_clip(tmp_path / "clip.mp4", grey_frames(4)), tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(VideoTooLargeError, match="max_frames allows, 3"):
        probe_apart(clip, limits=replace(LIMITS, max_frames=3))
    with pytest.raises(UnreadableVideoError, match=r"text\.mp4 is not a video that can be read"):
        probe_apart(text, limits=LIMITS)
    with pytest.raises(FileNotFoundError):
        probe_apart(tmp_path / "nowhere.mp4", limits=LIMITS)


@pytest.mark.parametrize(
    ("ended_by", "error", "told"),
    [
        (signal.SIGSEGV, UnreadableVideoError, r"clip\.mkv is damaged: its decoder was ended by SIGSEGV"),
        (signal.SIGKILL, VideoTooLargeError, "was ended by SIGKILL. Run again"),
    ],
)
def test_a_process_that_is_ended_is_told(tmp_path: Path, ended_by: int, error: type[Exception], told: str) -> None:
    clip = tmp_path / "clip.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "color=s=640x480", "-frames:v", "300", "-c:v", "mpeg4", str(clip))

    others = set(psutil.Process().children())

    def end(frame: int) -> None:
        for look in set(psutil.Process().children()) - others:
            os.kill(look.pid, ended_by)

    with pytest.raises(error, match=told):
        probe_apart(clip, limits=LIMITS, on_frame=end)


def test_nothing_of_the_folder_it_is_started_in_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not the one that was meant')")
    monkeypatch.chdir(tmp_path)
    assert probe_apart(write_clip(tmp_path / "clip.mp4", grey_frames(3)), limits=LIMITS).frame_count == 3


def test_the_process_starts_light() -> None:
    heavy = "{'cv2', 'dagster', 'ffmpeg', 'numpy', 'pydantic', 'boto3'}"
    check = f"import sys, slowmo_pipeline.video.probing_process; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
