"""A part of a clip, held against the whole: the same frames, bit for bit, and only those that are needed."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.errors import SettingsError, UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.container import open_video
from slowmo_pipeline.video.examination import examine
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.part import WHOLE, Asked, Moment, Part, seek_frame
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.seeking import frames_at
from slowmo_pipeline_tests.support.kinds import COUNT, NOT_SOUGHT, SOUGHT, X264_OPEN, Kind, noisy
from slowmo_pipeline_tests.support.media import FILM_RATE, damaged, grey_frames, run_ffmpeg, write_clip

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)
OPEN_MP4 = Kind(".mp4", "libx264", X264_OPEN)


def looked(path: Path, begin: Moment | None, end: Moment | None, *, limits: Limits = LIMITS) -> VideoInfo:
    """What probing finds in a part, in this process."""
    asked = Asked(begin, end)
    with open_video(path, max_pixels=limits.max_pixels) as video:
        part = Part(video, asked, seek_frame(path, asked, max_pixels=limits.max_pixels))
        return VideoInfo.model_validate(examine(part, limits, interlaced="keep"))


def clip(folder: Path, kind: Kind) -> Path:
    return write_clip(
        folder / f"noisy{kind.suffix}", noisy(), codec=kind.codec, options=kind.options, pixel_format=kind.pixel_format
    )


def wanted_frames(info: VideoInfo, begin: Moment | None, end: Moment | None) -> range:
    """Of the whole clip: from the last frame up to the begin to the first one from the end on."""
    times = [(tick - info.ticks[0]) * info.time_base for tick in info.ticks]

    def distance(number: int, moment: Moment) -> Fraction:
        return Fraction(number - moment) if isinstance(moment, int) else times[number] - moment

    numbers = range(info.frame_count)
    first = 0 if begin is None else max(number for number in numbers if distance(number, begin) <= 0)
    last = numbers[-1]
    if end is not None:
        last = min((number for number in numbers if number > first and distance(number, end) >= 0), default=last)
    return range(first, last + 1)


PARTS: list[tuple[Moment | None, Moment | None]] = [
    (None, 9),
    (0, 1),
    (17, 26),
    (38, None),
    (Fraction(1), Fraction(5, 4)),
    (Fraction(13, 10), None),
    (11, Fraction(4, 5)),
    (None, Fraction(99)),
]


@pytest.mark.parametrize("kind", [*SOUGHT, *NOT_SOUGHT], ids=str)
def test_frames_are_those_of_the_whole(tmp_path: Path, kind: Kind) -> None:
    path = clip(tmp_path, kind)
    whole = probe(path, limits=LIMITS)
    frames = dict(read_frames(path, whole))
    for begin, end in PARTS:
        info, numbers = looked(path, begin, end), wanted_frames(whole, begin, end)
        assert [tick - info.clip_tick for tick in info.ticks] == [whole.ticks[n] - whole.ticks[0] for n in numbers]
        assert info.part is not None
        assert info.part.first_frame == numbers[0]
        found = list(read_frames(path, info))
        assert [number for number, _ in found] == list(range(len(numbers)))
        assert all(np.array_equal(frame, frames[numbers[number]]) for number, frame in found)


def packed(folder: Path, name: str) -> Path:
    """One clip of open groups of pictures, packed in many ways."""
    if name == "leaping.ts":
        ticks = [*range(20), *range(90_000, 90_000 + COUNT - 20)]
        return write_clip(folder / name, noisy(), rate=Fraction(25), ticks=ticks, options=X264_OPEN)
    # MP4 keeps what a TS would need to begin anywhere.
    suffix = ".ts" if name == "trimmed.ts" else ".mp4"
    source, path = clip(folder, OPEN_MP4._replace(suffix=suffix)), folder / name
    before = ["-ss", "0.7"] if path.stem == "trimmed" else []
    after = {
        "without_index.mkv": ["-f", "matroska", "-live", "1"],
        "fragments.mp4": ["-movflags", "frag_keyframe+empty_moov"],
        "later.ts": ["-output_ts_offset", "5000"],
        "wrapped.ts": ["-output_ts_offset", str(2**33 / 90_000 - 2)],
    }.get(name, [])
    copied = ["-c", "copy"] if path.suffix != ".gif" else []
    run_ffmpeg(*before, "-i", str(source), *copied, *after, str(path))
    if name == "joined.ts":
        path.write_bytes(path.read_bytes() * 2)
    if name == "jumping.ts":
        run_ffmpeg("-i", str(source), "-c", "copy", "-output_ts_offset", "3600", str(folder / "later.ts"))
        path.write_bytes(path.read_bytes() + (folder / "later.ts").read_bytes())
    return path


@pytest.mark.parametrize(
    "name",
    [
        *(
            "bare.h264",
            "without_index.mkv",
            "fragments.mp4",
            "later.ts",
            "wrapped.ts",
            "joined.ts",
            "jumping.ts",
            "leaping.ts",
        ),
        *("trimmed.mp4", "trimmed.ts", "trimmed.mkv"),
        *("animated.gif", "plain.flv", "plain.nut"),
    ],
)
def test_however_the_clip_is_packed_they_are_the_same(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path, name)
    whole = probe(path, limits=LIMITS)
    frames = dict(read_frames(path, whole))
    parts: list[tuple[Moment, Moment | None]] = [
        (13, 15),
        (Fraction(1, 2), Fraction(3, 5)),
        (whole.frame_count - 3, None),
    ]
    for begin, end in parts:
        info, numbers = looked(path, begin, end), wanted_frames(whole, begin, end)
        assert info.part is not None
        assert info.part.first_frame == numbers[0]
        assert [tick - info.clip_tick for tick in info.ticks] == [whole.ticks[n] - whole.ticks[0] for n in numbers]
        assert all(np.array_equal(frame, frames[numbers[number]]) for number, frame in read_frames(path, info))


@pytest.mark.parametrize("kind", [OPEN_MP4, NOT_SOUGHT[0]], ids=str)
def test_some_frames_of_a_part_are_found(tmp_path: Path, kind: Kind) -> None:
    path = clip(tmp_path, kind)
    info = looked(path, 7, 33)
    frames = dict(read_frames(path, info))
    for number, frame in frames_at(path, info, [0, 5, 6, 20, 26]):
        assert np.array_equal(frame, frames[number])


def test_frames_of_a_part_behind_a_new_start_of_the_clock_are_not_those_with_its_times(tmp_path: Path) -> None:
    """What the second file shows first has, behind the first one, the times of what it shows in the end."""
    for name, count in (("a.ts", 40), ("b.ts", 80)):
        write_clip(tmp_path / name, noisy(count), rate=Fraction(25), options=X264_OPEN)
    path = tmp_path / "joined.ts"
    path.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    info = looked(path, 45, 60)
    frames = dict(read_frames(path, info))

    assert len(info.stretches) == 1
    for number, frame in frames_at(path, info, [2, 9]):
        assert np.array_equal(frame, frames[number])


@pytest.mark.parametrize("kind", SOUGHT, ids=str)
def test_decoding_begins_at_a_key_frame_near_the_part(tmp_path: Path, kind: Kind) -> None:
    info = looked(clip(tmp_path, kind), COUNT - 4, None)
    assert info.part is not None
    key, goal = info.part.start

    assert 0 <= (info.ticks[0] - key) * info.time_base * FILM_RATE <= 10
    assert goal <= info.ticks[0]


@pytest.mark.parametrize("kind", [kind for kind in SOUGHT if kind.suffix in (".mp4", ".mov")], ids=str)
def test_what_lies_before_a_part_is_not_decoded(tmp_path: Path, kind: Kind) -> None:
    path = clip(tmp_path, kind)
    before = looked(path, COUNT - 4, None)
    damaged(path, at=0.25, length=path.stat().st_size // 8)

    assert looked(path, COUNT - 4, None) == before
    assert before.losses == ()


def test_damage_before_a_part_is_not_told_where_all_is_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "noisy.avi", noisy(), options={"g": "5", "bf": "0", "qp": "20"})
    damaged(path, at=0.3, length=1000)

    assert probe(path, limits=LIMITS).losses
    assert looked(path, Fraction(3, 2), None).losses == ()


def test_whole_clip_has_no_part(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.mp4", grey_frames(5))

    assert looked(path, None, None) == probe(path, limits=LIMITS)
    assert probe(path, limits=LIMITS).part is None


def test_part_is_found_in_a_process_of_its_own_as_in_this_one(tmp_path: Path) -> None:
    path = clip(tmp_path, OPEN_MP4)
    for begin, end in ((11, 19), (Fraction(1, 3), Fraction(4, 5))):
        assert probe_apart(path, limits=LIMITS, part=Asked(begin, end)) == looked(path, begin, end)


@pytest.mark.parametrize("asked", [WHOLE, Asked(3, 7), Asked(Fraction(16, 5), None), Asked(None, 12)], ids=str)
def test_what_is_asked_for_survives_its_texts(asked: Asked) -> None:
    assert Asked.parse(*asked.texts) == asked


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_limits_count_the_part_only(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"grey{suffix}", grey_frames(40), options={"g": "10"})
    limits = replace(LIMITS, max_frames=7, max_seconds=1)

    assert looked(path, 20, 26, limits=limits).frame_count == 7
    with pytest.raises(VideoTooLargeError, match="max_frames allows, 7"):
        looked(path, 20, 27, limits=limits)
    with pytest.raises(VideoTooLargeError, match="max_seconds allows, 1 s"):
        looked(path, 2, None, limits=replace(LIMITS, max_seconds=1))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize(("begin", "told"), [(40, "frame 40"), (Fraction(5), "5 s")], ids=["frame", "seconds"])
def test_part_behind_the_end_is_refused_with_where_that_is(
    tmp_path: Path, suffix: str, begin: Moment, told: str
) -> None:
    path = write_clip(tmp_path / f"grey{suffix}", grey_frames(40), rate=Fraction(25))
    with pytest.raises(
        SettingsError,
        match=rf"^from = {told} lies behind the end of grey{suffix}: its last frame is frame 39, and ends at 1\.6 s\.$",
    ):
        looked(path, begin, None)


def test_part_of_one_frame_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.mp4", grey_frames(40))
    with pytest.raises(
        UnreadableVideoError, match=r"one frame only in the part that is asked for.*Ask for a longer one"
    ):
        looked(path, 39, None)


def test_part_within_the_last_frame_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.mp4", grey_frames(40), rate=Fraction(25))
    with pytest.raises(UnreadableVideoError, match="one frame only in the part that is asked for"):
        looked(path, Fraction(157, 100), Fraction(158, 100))


def test_part_of_rounded_times_is_at_its_rate(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.mkv", grey_frames(60), rate=FILM_RATE)
    info = looked(path, 20, 40)

    assert info.frame_count == 21
    assert info.declared_rate == FILM_RATE


def test_reading_a_part_of_another_file_is_refused(tmp_path: Path) -> None:
    path = clip(tmp_path, OPEN_MP4)
    info = looked(path, 20, 30)
    other = write_clip(tmp_path / "other.mp4", grey_frames(25))
    with pytest.raises(UnreadableVideoError, match="no longer holds the frames"):
        list[tuple[int, Frame]](read_frames(other, info))
