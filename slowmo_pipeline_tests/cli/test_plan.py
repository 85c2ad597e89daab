"""`slowmo plan` and `slowmo run --dry-run`: what clips would become, without a trace in the storage."""

from fractions import Fraction
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from slowmo_pipeline.cli.app import app
from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.errors import UsageError
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.media import grey_frames, write_clip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SLOWMO_STORAGE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Nine frames of 64x48 pixels."""
    return write_clip(tmp_path / "clip.mp4", grey_frames(9), rate=Fraction(24))


def slowmo(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def facts(done: Result) -> dict[str, str]:
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return {line[:12].strip(): line[12:] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("command", [("plan",), ("run", "--dry-run")], ids=" ".join)
def test_it_tells_what_would_be_made_and_makes_nothing(command: tuple[str, ...], clip: Path, home: Path) -> None:
    told = facts(slowmo(*command, clip, "--slowdown", 4))

    assert told["frames in"] == "9 at 24/s, 0.375 s of them made"
    assert told["frames out"] == "36 at 24/s, 1.500 s"
    assert told["new frames"] == "24 in 1 chunks"
    assert told["cuts"] == "0 held"
    assert not (home / "storage" / "videos").exists()
    assert not (home / "storage" / "uploads").exists()


def test_packets_tell_it_where_no_picture_has_to_be_seen(tmp_path: Path) -> None:
    """A stream that does not decode behind its first picture."""
    clip = write_clip(tmp_path / "clip.mkv", grey_frames(9), rate=Fraction(24), codec="mjpeg", pixel_format="yuvj420p")
    told = facts(slowmo("plan", clip, "--cuts", "off"))

    assert told["cuts"] == "not looked for"
    assert told["frames out"] == "36 at 24/s, 1.500 s"


def test_speeds_are_told_on_the_clock_of_the_clip(clip: Path) -> None:
    told = facts(slowmo("plan", clip, "--from", "f2", "--speed", "f4-f6:1/2"))

    assert told["speeds"] == "0.0833333-0.166667 s: 1, 0.166667-0.25 s: 1/2, 0.25-0.375 s: 1"
    assert told["frames out"] == "9 at 24/s, 0.375 s"


def test_more_new_frames_than_allowed_are_refused(clip: Path) -> None:
    done = slowmo("plan", clip, "--speed", "0-:1/100", "--limit", "max_new_frames=700")

    assert done.exit_code == 1
    assert "792 new frames would be made; the setting max_new_frames allows 700" in done.stderr


def test_a_clip_that_fails_does_not_stop_the_others(clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:500])
    done = slowmo("plan", broken, clip)

    assert done.exit_code == 1
    assert facts(done)["frames out"] == "36 at 24/s, 1.500 s"
    assert "broken.mp4: " in done.stderr


def test_an_endpoint_of_an_unknown_speed_is_told(clip: Path, home: Path) -> None:
    record = EndpointRecord(
        model_id="film-1", max_body_bytes=10**9, sagemaker_endpoint="f", instance_type="ml.g5.xlarge"
    )
    write_served(open_storage(str(home / "storage")), "film", record)

    assert facts(slowmo("plan", clip, "--interpolator", "film"))["endpoint"] == (
        "its speed is not known until it has finished a video"
    )


def test_outdated_videos_are_not_clips() -> None:
    done = slowmo("run", "--outdated", "--dry-run")

    assert isinstance(done.exception, UsageError)
    assert "slowmo status --outdated" in str(done.exception)
