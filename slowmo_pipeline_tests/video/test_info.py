import json
import subprocess
import sys
from fractions import Fraction

import pytest

from slowmo_pipeline.errors import DamagedRecordError
from slowmo_pipeline.video.colour import usual_matrix
from slowmo_pipeline.video.fields.record import FieldRun, Fields
from slowmo_pipeline.video.info import Colour, Crop, VideoInfo
from slowmo_pipeline_tests.support.stored import changed

INFO = VideoInfo(
    width=1920,
    height=1080,
    depth=16,
    source_bits=10,
    pixel_format="yuv420p10le",
    sample_aspect_ratio=Fraction(16, 15),
    rotation=90,
    mirrored=True,
    colour=Colour(matrix="bt2020nc", range="tv", primaries=None, transfer="smpte2084"),
    time_base=Fraction(1, 1000),
    ticks=(-3, 38, 80, 122, 163, 1000),
    last_duration_ticks=None,
    declared_rate=Fraction(24000, 1001),
    codec="hevc",
    container="matroska,webm",
    has_sound=True,
    creation_time="2020-01-02T03:04:05.000000Z",
    notes=("2 video streams: the first is used.",),
    losses=("3 frames without a time of their own were left out.",),
)


def test_stored_and_read_back_it_is_the_same() -> None:
    assert VideoInfo.from_json(INFO.to_json(), where="info.json") == INFO


def test_frame_count_is_counted() -> None:
    assert INFO.frame_count == 6


def test_first_frame_time_is_in_seconds() -> None:
    assert INFO.first_frame_time == Fraction(-3, 1000)


def test_an_hour_at_a_constant_rate_is_stored_as_one_run() -> None:
    hour = changed(INFO, ticks=tuple(range(0, 200_000 * 1001, 1001)))
    assert len(hour.to_json()) < 1000
    assert VideoInfo.from_json(hour.to_json(), where="info.json").ticks == hour.ticks


def test_an_hour_of_rounded_times_stays_small() -> None:
    hour = changed(INFO, ticks=tuple(round(Fraction(i * 1001, 60)) for i in range(200_000)))
    assert len(hour.to_json()) < 2_000_000


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0},
        {"time_base": "1/0"},
        {"ticks": {"first": 0, "steps": [[0, 3]]}},
        {"colour": {"matrix": "bt709"}},
        {"ticks": {"first": 0, "steps": [[1, "3"]]}},
        {"ticks": {"first": 0, "steps": [[1]]}},
        {"ticks": {}},
        {"notes": None},
        {"fields": {"top_first": True, "first_tick": 0, "runs": [{"cadence": "25", "groups": 3}]}},
        {"fields": {"top_first": True, "first_tick": 0, "runs": [{"cadence": "23", "groups": 0}]}},
        {"width": 1.5},
    ],
)
def test_what_was_not_stored_by_us_is_refused(change: dict[str, object]) -> None:
    data = json.dumps(json.loads(INFO.to_json()) | change).encode()
    with pytest.raises(DamagedRecordError, match=r"^info\.json is damaged: "):
        VideoInfo.from_json(data, where="info.json")


def test_an_hour_of_telecined_film_is_stored_as_one_run() -> None:
    fields = Fields(top_first=True, first_tick=0, runs=(FieldRun(cadence="23", groups=86_400),))
    stored = changed(INFO, fields=fields).to_json()
    assert len(stored) < 1500
    assert VideoInfo.from_json(stored, where="info.json").fields == fields


def test_what_a_later_version_stored_besides_is_ignored() -> None:
    data = json.dumps(json.loads(INFO.to_json()) | {"surplus": 1}).encode()
    assert VideoInfo.from_json(data, where="info.json") == INFO


@pytest.mark.parametrize(("size", "matrix"), [((640, 480), "bt470bg"), ((1280, 536), "bt709"), ((720, 720), "bt709")])
def test_untagged_pictures_are_read_as_players_read_them(size: tuple[int, int], matrix: str) -> None:
    assert usual_matrix(*size) == matrix


def test_reading_an_info_needs_no_media_library() -> None:
    check = "import sys, slowmo_pipeline.video.info; sys.exit(bool({'av', 'numpy', 'ffmpeg'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("date", ["2020-02-29T03:04:05.000000Z", "1969-07-20 20:17:40", "2020-01-02T03:04:05+0100"])
def test_creation_time_is_kept_as_it_is_spelled(date: str) -> None:
    assert created(date) == date


ODD_DATES = ["", "yesterday", "2020-13-01T00:00:00Z", "2021-02-29T00:00:00Z", "2020-01-02T03:04:05Z -i x", "2020-01-02"]


@pytest.mark.parametrize("text", [*ODD_DATES, "2020-01-02T03:04:05.1\n", "\u0662020-01-02T03:04:05", "x" * 140_000])
def test_creation_time_that_is_no_date_is_none(text: str) -> None:
    assert created(text) is None


def created(text: str) -> str | None:
    """What is read of such a creation time."""
    data = json.dumps({**json.loads(INFO.to_json()), "creation_time": text}).encode()
    return VideoInfo.from_json(data, where="info.json").creation_time


def test_an_info_of_before_is_read_in_the_plain_way() -> None:
    stored = json.loads(INFO.to_json())
    before = {name: value for name, value in stored.items() if name not in ("headroom", "crop", "colours_change")}
    assert VideoInfo.from_json(json.dumps(before).encode(), where="info.json").reading == ""


def test_a_crop_counts_for_the_coded_size_before_rotation() -> None:
    info = changed(INFO, width=100, height=60, crop=Crop(left=3, right=4, top=10, bottom=0))
    assert (info.coded_size, info.coded_pixels) == ((67, 110), 67 * 110)
