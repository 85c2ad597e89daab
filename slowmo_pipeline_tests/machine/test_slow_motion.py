"""`slow_motion`, as programs and notebooks call it."""

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest

import slowmo_pipeline
from slowmo_pipeline import Result, SlowmoError, SlowMotionSettings, slow_motion
from slowmo_pipeline.errors import SettingsError, StorageError
from slowmo_pipeline.video.reader import probe, read_frames
from slowmo_pipeline_tests.support.media import damaged, grey_frames, grey_numbers, noise, write_clip
from slowmo_pipeline_tests.support.pipeline import LIMITS, TestPipeline, fade_pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


@pytest.fixture
def clip(pipeline: TestPipeline, tmp_path: Path) -> Path:
    return write_clip(tmp_path / f"{tmp_path.name}.mp4", grey_frames(6), rate=Fraction(25))


def test_a_clip_becomes_slow_motion(clip: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int, str]] = []
    made = slow_motion(clip, slowdown=4, output=tmp_path / "slow.mp4", on_progress=lambda *told: heard.append(told))

    assert made == Result(str(tmp_path / "slow.mp4"), 24, 0.96, (), (), made.report, made.video)
    numbers = grey_numbers(frame for _, frame in read_frames(Path(made.path), probe(Path(made.path), limits=LIMITS)))
    assert numbers[::4] == [0, 1, 2, 3, 4, 5]
    assert "<html" in Path(made.report).read_text()
    assert {stage for stage, *_ in heard} >= {"probe", "cut", "interpolate", "encode"}
    assert ("encode", 24, 24, "frames") in heard


def test_called_again_it_makes_nothing_again(clip: Path) -> None:
    first = slow_motion(clip, slowdown=2)
    before = Path(first.path).stat().st_mtime_ns

    assert slow_motion(clip, slowdown=2) == first
    assert Path(first.path).stat().st_mtime_ns == before
    assert slow_motion(clip, slowdown=3).frames == 18


def test_it_runs_in_threads(clip: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", grey_frames(4), rate=Fraction(25))
    with ThreadPoolExecutor(2) as pool:
        assert [made.frames for made in pool.map(slow_motion, [clip, other])] == [24, 16]


def test_it_runs_where_an_event_loop_does(clip: Path, recwarn: pytest.WarningsRecorder) -> None:
    async def cell() -> tuple[Result, asyncio.AbstractEventLoop]:
        return slow_motion(clip), asyncio.get_running_loop()

    assert asyncio.run(cell())[0].frames == 24
    assert [str(each.message) for each in recwarn if issubclass(each.category, RuntimeWarning)] == []


def test_handlers_of_signals_are_the_caller_s(clip: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    slow_motion(clip)

    assert [signal.getsignal(number) for number in numbers] == before


def test_log_files_of_the_caller_stay_open(clip: Path, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log", mode="w")
    log = logging.Logger("caller", logging.INFO)
    log.addHandler(handler)
    slow_motion(clip)
    log.info("afterwards")
    handler.close()

    assert (tmp_path / "log").read_text() == "afterwards\n"


def test_nothing_is_printed(clip: Path, tmp_path: Path) -> None:
    lossy = write_clip(tmp_path / "lossy.mp4", map(noise, range(30)), codec="mjpeg", pixel_format="yuvj420p")
    damaged(lossy, at=0.5)
    program = "import sys, slowmo_pipeline; print(slowmo_pipeline.slow_motion(sys.argv[1]).losses != ())"
    done = subprocess.run([sys.executable, "-c", program, str(lossy)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_options_win_over_settings_and_those_over_the_file_beside_the_clip(clip: Path) -> None:
    clip.with_name(f"{clip.name}.slowmo.json").write_text('{"slowdown": 8, "codec": "ffv1"}')

    assert slow_motion(clip).frames == 48
    made = slow_motion(clip, SlowMotionSettings(slowdown=Fraction(3)))
    assert (made.frames, Path(made.path).suffix) == (18, ".mkv")
    assert slow_motion(clip, SlowMotionSettings(slowdown=Fraction(3)), slowdown="5/2").frames == 15


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"slowdown": 0.5}, SettingsError, "slowdown = 0.5 must lie between 1 and 1000"),
        ({"tempo": 4}, SettingsError, "there is no setting 'tempo'"),
        ({"output": "slow.mkv"}, StorageError, "h264 makes .mp4 files"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], error: type, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLOWMO_STORAGE", str(tmp_path / "unused"))
    with pytest.raises(error, match=told):
        slow_motion(clip, **options)  # type: ignore[arg-type]

    assert not (tmp_path / "unused" / "videos").exists()


def test_neither_source_nor_what_exists_is_overwritten(clip: Path, tmp_path: Path) -> None:
    existing = tmp_path / "existing.mp4"
    existing.write_bytes(b"mine")
    for place in (clip, existing):
        with pytest.raises(StorageError):
            slow_motion(clip, output=place, overwrite=place == clip)

    assert existing.read_bytes() == b"mine"


def test_a_clip_that_is_none_fails_with_its_reason(pipeline: TestPipeline, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name, told in (("missing.mp4", "is not a file"), ("text.mp4", "is not a video")):
        with pytest.raises(SlowmoError, match=told):
            slow_motion(tmp_path / name)


def test_importing_it_loads_nothing() -> None:
    program = (
        "import sys, slowmo_pipeline; print([name for name in sys.modules if name.startswith('slowmo_pipeline.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
    assert set(slowmo_pipeline.__all__) < set(dir(slowmo_pipeline))
    with pytest.raises(AttributeError, match="has no attribute 'fast_motion'"):
        slowmo_pipeline.fast_motion  # type: ignore[attr-defined]  # noqa: B018
