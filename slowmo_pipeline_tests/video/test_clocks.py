"""What containers do to times, and what a video is all the same: every original, in its place, exactly as long."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowmo_pipeline.planning.plan import Plan
from slowmo_pipeline.planning.track import STILL, plain_track
from slowmo_pipeline.settings import parse_settings
from slowmo_pipeline.steps.planning import JUMP, plan_of
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline_tests.support.media import (
    FILM_RATE,
    NTSC_RATE,
    grey_frames,
    grey_numbers,
    moving_square,
    run_ffmpeg,
    tone,
    write_clip,
)
from slowmo_pipeline_tests.support.timelines import constant, positions

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=10**4, max_seconds=10**5)
B_FRAMES = {"bf": "2"}


def planned(path: Path, **settings: Any) -> tuple[VideoInfo, Plan]:
    """What probing finds, and what becomes of it at 4x."""
    info = probe(path, limits=LIMITS)
    return info, plan_of(info, parse_settings({"cuts": "off", **settings}, origin="A test"))


def greys(path: Path) -> list[int]:
    return grey_numbers(frame for _, frame in read_frames(path, probe(path, limits=LIMITS)))


def originals(plan: Plan) -> dict[int, int]:
    """At which output each frame is first shown as it is."""
    found: dict[int, int] = {}
    for output, (interval, t) in enumerate(positions(plan.timeline)):
        if t == 0:
            found.setdefault(plan.timeline.track.frames[interval], output)
    return found


def in_place(places: Sequence[int]) -> dict[int, int]:
    """That of frames which stand at these places of the source's own rate."""
    return {frame: 4 * place for frame, place in enumerate(places)}


def stream(
    folder: Path, count: int, *, first: Fraction = Fraction(0), rate: Fraction = Fraction(25), **clip: Any
) -> Path:
    """A TS of grey frames whose clock shows `first` seconds, and what the muxer adds, at its begin."""
    source = write_clip(folder / "source.ts", grey_frames(count), rate=rate, **clip)
    path = folder / f"from {float(first)}.ts"
    run_ffmpeg("-i", str(source), "-c", "copy", "-output_ts_offset", str(float(first)), str(path))
    return path


def in_a_row(path: Path, *parts: Path) -> Path:
    """Files one after the other, as `cat` joins them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("options", [{"bf": "0"}, B_FRAMES], ids=["no B-frames", "B-frames"])
@pytest.mark.parametrize("rate", [Fraction(25), NTSC_RATE, FILM_RATE], ids=["25", "29.97", "23.976"])
@pytest.mark.parametrize("offsets", [(0, 0), (0, 0, 0), (0, 20, 1), (7, 2)], ids=str)
def test_stretches_of_a_joined_stream_follow_each_other(
    tmp_path: Path, offsets: tuple[int, ...], rate: Fraction, options: dict[str, str]
) -> None:
    parts = [stream(tmp_path, 12, first=Fraction(offset), rate=rate, options=options) for offset in offsets]
    joined, count = in_a_row(tmp_path / "joined.ts", *parts), 12 * len(offsets)
    info, plan = planned(joined)

    assert greys(joined) == list(range(12)) * len(offsets)
    assert [stretch.frame for stretch in info.stretches] == list(range(0, count, 12))
    assert plan.timeline.track.repeats == dict.fromkeys(range(11, count - 1, 12), JUMP)
    assert originals(plan) == in_place(range(count))
    assert (plan.timeline.output_count, plan.timeline.duration) == (4 * count, 4 * count / rate)
    assert info.losses == ()
    assert [note for note in info.notes if "start again or jump at frame 12 (" in note]


@pytest.mark.parametrize("rate", [Fraction(25), NTSC_RATE], ids=str)
def test_stretches_of_a_joined_program_stream_follow_each_other(tmp_path: Path, rate: Fraction) -> None:
    options = {**B_FRAMES, "b": "4000000"}
    source = write_clip(tmp_path / "a.mkv", grey_frames(12), rate=rate, codec="mpeg2video", options=options)
    run_ffmpeg("-i", str(source), "-c", "copy", "-f", "mpeg", str(tmp_path / "a.mpg"))
    joined = in_a_row(tmp_path / "joined.mpg", *[tmp_path / "a.mpg"] * 3)
    _, plan = planned(joined)

    assert greys(joined) == list(range(12)) * 3
    assert plan.timeline.track.repeats == {11: JUMP, 23: JUMP}
    assert originals(plan) == in_place(range(36))
    assert plan.timeline.duration == 4 * 36 / rate


@pytest.mark.parametrize("seconds", [3600, 11])
def test_clock_of_a_stream_that_jumps_forward_leaves_no_gap(tmp_path: Path, seconds: int) -> None:
    parts = [stream(tmp_path, 9), stream(tmp_path, 10, first=Fraction(seconds))]
    info, plan = planned(in_a_row(tmp_path / "joined.ts", *parts))

    assert len(info.stretches) == 2
    assert plan.timeline.track.repeats == {8: JUMP}
    assert originals(plan) == in_place(range(19))
    assert plan.timeline.output_count == 76


def test_pause_of_a_stream_is_a_still(tmp_path: Path) -> None:
    ticks = [*range(8), *range(208, 216)]
    info, plan = planned(write_clip(tmp_path / "pause.ts", grey_frames(16), rate=Fraction(25), ticks=ticks))

    assert len(info.stretches) == 1
    assert list(plan.timeline.track.repeats.values()) == [STILL]
    assert originals(plan) == in_place(ticks)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_hour_between_two_frames_of_a_file_is_a_still(tmp_path: Path, suffix: str) -> None:
    ticks = [*range(8), *range(90_000, 90_008)]
    clip = write_clip(tmp_path / f"long{suffix}", grey_frames(16), rate=Fraction(25), ticks=ticks)
    info, plan = planned(clip)

    assert len(info.stretches) == 1
    assert plan.timeline.track.repeats == {7: STILL}
    assert plan.timeline.output_count == 4 * 90_008
    assert plan.new_frame_count == 3 * 15
    assert [plan.timeline.output_at(plan.timeline.track.time(anchor)) for anchor in (7, 8, 9)] == [
        *(28, 4 * 89_999, 4 * 90_000)
    ]


def test_clock_of_a_stream_that_overflows_goes_on(tmp_path: Path) -> None:
    overflow = Fraction(2**33, 90_000)
    clip = stream(tmp_path, 24, first=overflow - 2, options=B_FRAMES)
    info, plan = planned(clip)

    assert greys(clip) == [*range(12), *range(12)]
    assert (len(info.stretches), info.losses) == (1, ())
    assert plan.timeline.track == plain_track(constant(25, 24))


def test_single_time_that_goes_back_costs_its_frame_and_no_other(tmp_path: Path) -> None:
    def part(name: str, count: int, ticks: Sequence[int]) -> Path:
        frames = list(grey_frames(12))[count : count + len(ticks)]
        return write_clip(tmp_path / name, frames, rate=Fraction(25), ticks=ticks)

    parts = [part("a.ts", 0, range(10, 15)), part("b.ts", 5, [2]), part("c.ts", 6, range(16, 22))]
    clip = in_a_row(tmp_path / "stray.ts", *parts)
    info, plan = planned(clip)

    assert greys(clip) == [*range(5), *range(6, 12)]
    assert info.losses == ("Frames without a time of their own, after the frame before: 1 were left out.",)
    assert (len(info.stretches), plan.timeline.track.repeats) == (1, {})
    assert originals(plan) == in_place([*range(5), *range(6, 12)])


AVI_CODECS = [("mpeg4", B_FRAMES), ("libx264", B_FRAMES), ("mpeg4", {"bf": "0"}), ("libx264", {"bf": "3", "refs": "4"})]


@pytest.mark.parametrize(("codec", "options"), AVI_CODECS, ids=str)
@pytest.mark.parametrize("rate", [Fraction(18), Fraction(19), FILM_RATE, Fraction(25)], ids=str)
def test_avi_is_exact_at_any_rate(tmp_path: Path, rate: Fraction, codec: str, options: dict[str, str]) -> None:
    clip = write_clip(tmp_path / "grey.avi", grey_frames(11), rate=rate, codec=codec, options=options, sound=tone(0.5))
    info, plan = planned(clip)

    assert greys(clip) == list(range(11))
    assert plan.timeline.track == plain_track(constant(rate, 11))
    assert plan.timeline.duration == 4 * 11 / rate
    assert info.first_frame_time == 0


@pytest.mark.parametrize(("codec", "options"), AVI_CODECS, ids=str)
@pytest.mark.parametrize(
    "places",
    [
        [0, 1, 2, 4, 5, 6, 7, 8, 9, 10],
        [0, 2, 3, 4, 5, 8, 9, 10, 11, 12],
        [0, 3, 4, 5, 6, 7, 8, 9, 12, 13],
    ],
    ids=["one in the middle", "one and two in the middle", "near both ends"],
)
def test_frames_that_avi_left_out_are_holes(
    tmp_path: Path, places: list[int], codec: str, options: dict[str, str]
) -> None:
    clip = write_clip(
        *(tmp_path / "holes.avi", grey_frames(10)), rate=Fraction(24), ticks=places, codec=codec, options=options
    )
    info, plan = planned(clip)

    assert greys(clip) == list(range(10))
    assert list(plan.timeline.track.times.ticks) == places
    assert plan.timeline.track.times.rate == 24
    assert originals(plan) == in_place(places)
    assert plan.timeline.duration == Fraction(4 * (places[-1] + 1), 24)
    assert info.first_frame_time == 0


def without_frames(path: Path, numbers: Sequence[int]) -> Path:
    """Make chunks of pictures empty, as capture programs write frames that they dropped."""
    data = bytearray(path.read_bytes())
    index = data.rindex(b"idx1")
    entries = [at for at in range(index + 8, len(data), 16) if data[at : at + 4] == b"00dc"]
    base = data.index(b"movi")
    for at in (entries[number] for number in numbers):
        offset, size = struct.unpack("<II", data[at + 8 : at + 16])
        assert data[base + offset : base + offset + 4] == b"00dc"
        # What is left of the chunk becomes one that readers pass over.
        data[base + offset + 4 : base + offset + 8] = bytes(4)
        data[base + offset + 8 : base + offset + 16] = b"JUNK" + struct.pack("<I", size + size % 2 - 8)
        data[at + 12 : at + 16] = bytes(4)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codec", ["mpeg4", "ffv1", "mjpeg"])
@pytest.mark.parametrize("dropped", [[0], [0, 1, 2], [0, 5, 6], [4], [10, 11], [0, 1, 4, 7, 8, 11]], ids=str)
def test_frames_that_a_capture_dropped_are_holes_and_the_sound_stays_in_place(
    tmp_path: Path, codec: str, dropped: list[int]
) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    alone = {"bf": "0", "g": "1"}
    clip = write_clip(
        *(tmp_path / "capture.avi", grey_frames(12)),
        rate=Fraction(24),
        codec=codec,
        options=alone,
        pixel_format=pixel_format,
        sound=tone(0.5),
    )
    places = [number for number in range(12) if number not in dropped]
    info, plan = planned(without_frames(clip, dropped))

    assert greys(clip) == places
    assert info.first_frame_time == Fraction(places[0], 24), "the sound begins at 0"
    assert originals(plan) == in_place([place - places[0] for place in places])
    assert plan.timeline.track.times.rate == 24


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(18), NTSC_RATE], ids=str)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_track_whose_time_scale_is_its_rate_has_holes(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    places = [0, 1, 2, 3, 5, 6, 9, 10, 11, 12]
    clip = write_clip(tmp_path / f"fine{suffix}", grey_frames(10), rate=rate, ticks=places)
    coarse = tmp_path / f"coarse{suffix}"
    if rate.denominator == 1:
        run_ffmpeg("-i", str(clip), "-c", "copy", "-video_track_timescale", str(rate), str(coarse))
    else:
        run_ffmpeg("-i", str(clip), "-c", "copy", "-video_track_timescale", str(rate.numerator), str(coarse))
    info, plan = planned(coarse)

    assert info.time_base == 1 / Fraction(rate.numerator)
    assert (plan.timeline.track.times.rate, plan.timeline.frame_rate) == (rate, rate)
    assert originals(plan) == in_place(places)
    assert plan.timeline.duration == 4 * 13 / rate


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_bare_stream_is_as_long_as_its_frames(tmp_path: Path, codec: str) -> None:
    suffix = {"libx264": ".h264", "libx265": ".hevc"}[codec]
    options = {"bf": "2", "qp": "10", **({"x265-params": "log-level=error:qp=10"} if codec == "libx265" else {})}
    clip = write_clip(tmp_path / "square.mkv", moving_square(13), rate=NTSC_RATE, codec=codec, options=options)
    run_ffmpeg("-i", str(clip), "-c", "copy", str(tmp_path / f"square{suffix}"))
    _, plan = planned(tmp_path / f"square{suffix}")

    assert originals(plan) == in_place(range(13))
    assert plan.timeline.duration == 4 * 13 / NTSC_RATE


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("rate", [Fraction(30), FILM_RATE], ids=str)
def test_still_of_three_seconds_is_held_and_slows_nothing(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    """Half a second of motion, three without a frame, half a second of motion."""
    places = [*range(15), *range(105, 120)]
    clip = write_clip(tmp_path / f"still{suffix}", grey_frames(30), rate=rate, ticks=places)
    _, plan = planned(clip)

    assert list(plan.timeline.track.repeats.values()) == [STILL]
    assert plan.timeline.frame_rate == rate
    assert originals(plan) == in_place(places)
    assert plan.new_frame_count == 3 * 29
    assert abs(plan.timeline.duration - 4 * 120 / rate) <= 1 / rate


def jittered(rate: int, count: int, ticks_per_second: int, most: int) -> list[int]:
    """Ticks of a camera that is now early and now late, by up to so many."""
    off = np.random.default_rng(1).integers(-most, most + 1, count)
    return [max(round(frame * ticks_per_second / rate) + int(off[frame]), 0) for frame in range(count)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("rate", [30, 60])
def test_jitter_of_a_phone_keeps_its_times_and_its_rate(tmp_path: Path, suffix: str, rate: int) -> None:
    ticks = jittered(rate, 40, 90_000, 300)
    clip = write_clip(
        tmp_path / f"phone{suffix}", grey_frames(40), rate=Fraction(rate), ticks=ticks, time_base=Fraction(1, 90_000)
    )
    info, plan = planned(clip)
    track = plan.timeline.track

    assert info.frame_count == track.count == 40
    assert [track.time(frame) * 90_000 for frame in range(40)] == [tick - ticks[0] for tick in ticks]
    assert track.times.rate == rate
    assert not track.times.is_constant
    assert track.repeats == {}
    assert len(plan.timeline.outputs_of(20)) in (3, 4, 5)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".ts", ".nut"])
@pytest.mark.parametrize("rate", [NTSC_RATE, FILM_RATE, 2 * NTSC_RATE], ids=str)
@pytest.mark.parametrize("places", [range(20), [0, 1, 2, 5, 6, *range(9, 24)]], ids=["all", "some missing"])
def test_copy_of_what_was_in_milliseconds_is_as_it_was(
    tmp_path: Path, places: Sequence[int], rate: Fraction, suffix: str
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", grey_frames(20), rate=rate, ticks=places, options=B_FRAMES)
    run_ffmpeg("-i", str(clip), "-c", "copy", str(tmp_path / f"copy{suffix}"))
    _, plan = planned(tmp_path / f"copy{suffix}")

    assert plan.timeline.frame_rate == rate
    assert originals(plan) == in_place(places)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_jitter_of_a_tick_is_none(tmp_path: Path, suffix: str) -> None:
    ticks = [40 * frame + (frame % 3 == 1) for frame in range(30)]
    clip = write_clip(
        tmp_path / f"rounded{suffix}", grey_frames(30), rate=Fraction(25), ticks=ticks, time_base=Fraction(1, 1000)
    )

    assert planned(clip)[1].timeline.track == plain_track(constant(25, 30))
