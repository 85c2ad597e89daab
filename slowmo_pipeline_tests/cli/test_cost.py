import json
from fractions import Fraction
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from slowmo_pipeline.cli.cost import cost
from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import SETTINGS, VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.interpolators import Fade
from slowmo_pipeline_tests.support.media import cut_off, grey_frames, write_clip
from slowmo_pipeline_tests.support.stored import write_json
from slowmo_pipeline_tests.support.videos import drop, finish, quiet

SPEED = ("--seconds-per-megapixel", "100")


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The storage that the command looks at."""
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SLOWMO_STORAGE", raising=False)
    return open_storage(str(tmp_path / "home" / "storage"))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Nine frames of 64x48 pixels."""
    return write_clip(tmp_path / "clip.mp4", grey_frames(9), rate=Fraction(24))


def slowmo_cost(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(cost)
    return CliRunner().invoke(app, list(map(str, arguments)))


def table(done: Result) -> dict[str, list[str]]:
    """What was printed: the cells of each row by the row's name."""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    rows = [line.split("  ") for line in done.stdout.splitlines()[1:]]
    return {name: [cell.strip() for cell in cells if cell.strip()] for name, *cells in rows}


def test_the_new_frames_are_counted_and_priced(clip: Path) -> None:
    done = slowmo_cost(clip, "--slowdown", "4", *SPEED)
    # 24 frames of 3072 pixels at 100 s a megapixel, at 1.408 dollars an hour.
    assert table(done)["clip.mp4"] == ["24", "0.1", "7.4", "0.0020", "0.0029"]
    assert done.exit_code == 0


def test_the_idle_tail_is_a_line_of_its_own(clip: Path) -> None:
    assert table(slowmo_cost(clip, *SPEED))["idle tail"] == ["0.2500", "0.3520"]


def test_the_reader_is_told_which_prices_and_what_is_not_in_it(clip: Path) -> None:
    told = slowmo_cost(clip, *SPEED).stderr
    assert "1.408 USD an hour for each ml.g5.xlarge (us-east-1, 2025-12). On-demand list prices" in told
    assert "100 seconds a megapixel of new frames, as given" in told
    assert "Not in it: the minutes in which an instance starts" in told


def test_the_reader_is_told_what_the_idle_tail_counts_and_what_several_instances_would_take(clip: Path) -> None:
    told = slowmo_cost(clip, *SPEED).stderr
    assert "Idle tail: 900 s of one instance, since the alarm that stops it wants 15 minutes" in told
    # 5 x 900, and on top of it 600 + 1200 + 1800 + 2400.
    assert "5 instances at the end take 4500 s in all if AWS stops them in one step, and 10500 s one by one" in told


def test_several_clips_are_added_up(clip: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", grey_frames(5), rate=Fraction(24))
    found = table(slowmo_cost(clip, other, "--slowdown", "2", *SPEED))
    assert (found["clip.mp4"][0], found["other.mp4"][0], found["all clips"][0]) == ("8", "4", "12")
    assert found["all clips"][2] == "3.7"


def test_the_frame_rate_makes_new_frames_too(clip: Path) -> None:
    done = slowmo_cost(clip, "--slowdown", "1", "--frame-rate", "48", *SPEED)
    assert table(done)["clip.mp4"][0] == "8"


def test_options_win_over_the_settings_beside_the_clip(clip: Path) -> None:
    clip.with_name("clip.mp4.slowmo.json").write_text('{"slowdown": 2}')
    assert table(slowmo_cost(clip, *SPEED))["clip.mp4"][0] == "8"
    assert table(slowmo_cost(clip, "--slowdown", "3", *SPEED))["clip.mp4"][0] == "16"


def test_the_settings_of_the_storage_count_where_nothing_else_is_said(clip: Path, storage: Storage) -> None:
    storage.write("settings.json", b'{"slowdown": 3}')
    assert table(slowmo_cost(clip, *SPEED))["clip.mp4"][0] == "16"
    clip.with_name("clip.mp4.slowmo.json").write_text('{"slowdown": 2}')
    assert table(slowmo_cost(clip, *SPEED))["clip.mp4"][0] == "8"


def test_a_table_of_ones_own_is_used(clip: Path, tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"region": "eu-west-1", "as_of": "2026-01", "usd_per_hour": {"ml.x": 36}}))
    done = slowmo_cost(clip, "--prices", prices, "--instance-type", "ml.x", *SPEED)
    assert table(done)["idle tail"] == ["0.2500", "9.0000"]
    assert "36 USD an hour for each ml.x (eu-west-1, 2026-01).\n" in done.stderr


def test_nothing_is_stored(clip: Path, storage: Storage) -> None:
    slowmo_cost(clip, *SPEED)
    assert not list(storage.list(""))


def test_a_clip_that_fails_does_not_stop_the_others(clip: Path, tmp_path: Path) -> None:
    broken = cut_off(write_clip(tmp_path / "broken.mp4", grey_frames(9)), keep=0.3)
    done = slowmo_cost(broken, tmp_path / "none.mp4", clip, *SPEED)
    assert done.exit_code == 1
    assert list(table(done)) == ["clip.mp4", "idle tail"]
    assert "broken.mp4: " in done.stderr
    assert "none.mp4 is not a file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no endpoint of that name serves"),
        (["--instance-type", "ml.p9.xlarge", *SPEED], "'ml.p9.xlarge' is not known"),
        (["--seconds-per-megapixel", "0"], "seconds_per_megapixel = 0.0 must be more than 0"),
        (["--prices", "nowhere.json", *SPEED], "nowhere.json cannot be read"),
    ],
)
def test_without_a_speed_or_a_price_there_is_no_estimate(arguments: list[str], told: str, clip: Path) -> None:
    done = slowmo_cost(clip, *arguments)
    assert isinstance(done.exception, SettingsError)
    assert told in str(done.exception)
    assert done.stdout == ""


def test_the_speed_is_taken_from_what_the_endpoint_finished(clip: Path, storage: Storage) -> None:
    write_served(
        storage,
        "flow",
        EndpointRecord(
            model_id=Fade.model_id, max_body_bytes=10**9, sagemaker_endpoint="slowmo-flow", instance_type="ml.g5.xlarge"
        ),
    )
    video_id = drop(storage)
    inspect_upload(storage, video_id, chosen={}, progress=quiet)
    done = cut(storage, video_id, progress=quiet)
    write_json(storage, VideoKeys(video_id).plan(done.active.versions.plan).model(Fade.model_id).receipt(0), {})
    finish(storage, video_id)  # in 1.5 seconds
    told = slowmo_cost(clip, "--interpolator", "flow")
    assert table(told)["clip.mp4"][2] == "1.5"  # the very same frames
    assert "measured on the latest videos of fade-1 (1)" in told.stderr


def test_a_limit_is_set_on_the_command_line(clip: Path, storage: Storage) -> None:
    write_json(storage, SETTINGS, {"max_new_frames": 5})
    told = "24 new frames would be made; the setting max_new_frames allows 5."

    assert f"clip.mp4: {told}" in slowmo_cost(clip, *SPEED).stderr
    assert table(slowmo_cost(clip, "--limit", "max_new_frames=24", *SPEED))["clip.mp4"][0] == "24"
