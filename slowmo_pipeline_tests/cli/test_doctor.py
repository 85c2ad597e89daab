"""`slowmo doctor` finds what is wrong, and nothing where nothing is."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.video.binary import ffmpeg_binary
from slowmo_pipeline.video.writer import CODECS
from slowmo_pipeline_tests.support.disks import small_disk
from slowmo_pipeline_tests.support.forked import slowmo
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline
from slowmo_pipeline_tests.support.places import REPOSITORY

LINE = re.compile(r"^(ok|note|PROBLEM) +(\S+(?: \S+)*) {2,}(.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


def findings(*, code: int = 0) -> dict[str, tuple[str, str]]:
    """State and text of each thing that is looked at."""
    done = slowmo("doctor")
    assert (done.returncode, done.stderr) == (code, ""), done.stdout
    return {what: (state, told) for state, what, told in LINE.findall(done.stdout)}


def problems(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {what: told for what, (state, told) in found.items() if state == "PROBLEM"}


def test_it_finds_nothing_wrong(pipeline: TestPipeline) -> None:
    found = findings()
    assert not problems(found)
    assert found["endpoint"][1].startswith("live at http://127.0.0.1:")
    assert {f"codec {codec}" for codec in CODECS} <= found.keys()


def test_the_page_names_what_is_looked_at(pipeline: TestPipeline) -> None:
    page = (REPOSITORY / "docs" / "command-line.md").read_text().partition("## What can be wrong")[2]
    told = {name for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}
    assert {re.sub(r"^(codec|endpoint) .+", r"\1 …", what) for what in findings()} <= told | {"Python", "packages"}


@pytest.mark.parametrize(
    ("word", "codecs"),
    [
        ("libx265", {"h265"}),
        ("yuv420p10le", {"h264", "h265"}),  # builds of 8 bit only
        ("bgr0", {"ffv1"}),
        ("flac", {"ffv1"}),
    ],
)
def test_a_codec_is_a_problem_that_this_ffmpeg_cannot_encode(
    pipeline: TestPipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str, codecs: set[str]
) -> None:
    lacking = tmp_path / "ffmpeg"
    lacking.write_text(
        f'#!/bin/bash\n[[ "$*" == *{word}* ]] && echo "no {word}" >&2 && exit 1\n'
        f'[[ "$*" == *-encoders ]] || exec {ffmpeg_binary()} "$@"\n{ffmpeg_binary()} "$@" | grep -v {word}\n'
    )
    lacking.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", str(lacking))
    told = problems(findings(code=1))
    assert {*told} == {f"codec {codec}" for codec in codecs}
    assert all("FFMPEG_BINARY" in each for each in told.values())


def test_no_ffmpeg_at_all_is_one_problem(pipeline: TestPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG_BINARY", "/nowhere/ffmpeg")
    assert [*problems(findings(code=1))] == ["ffmpeg"]


def test_a_home_that_cannot_be_made_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("SLOWMO_STORAGE", str(tmp_path / "storage"))
    assert "SLOWMO_HOME" in problems(findings(code=1))["home"]


def test_a_full_disk_is_a_problem_of_who_uses_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with small_disk(megabytes=20) as disk:
        monkeypatch.setenv("SLOWMO_HOME", str(disk / "home"))
        monkeypatch.setenv("SLOWMO_STORAGE", str(tmp_path / "storage"))
        told = problems(findings(code=1))
    assert [*told] == ["disk"]
    assert re.match(r"2\d\.\d MB free: .* `slowmo clean`, or set SLOWMO_HOME", told["disk"])


def test_a_taken_port_is_noted_with_another(pipeline: TestPipeline) -> None:
    with socket.socket() as holder:
        with suppress(OSError):  # somebody has it, which is as well
            holder.bind(("127.0.0.1", 3000))
            holder.listen()
        state, told = findings()["port"]
    assert state == "note"
    assert "slowmo up --port 3001" in told


@pytest.mark.parametrize(
    ("gpus", "required", "state", "told"),
    [
        ("-1", "0", "note", "none is seen"),
        ("-1", "1", "PROBLEM", "SLOWMO_REQUIRE_GPU is set"),
        ("3,GPU-5", "1", "ok", "to be seen: 3, GPU-5"),
    ],
)
def test_gpus_are_counted_and_missed_where_they_are_required(
    pipeline: TestPipeline, monkeypatch: pytest.MonkeyPatch, gpus: str, required: str, state: str, told: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setenv("SLOWMO_REQUIRE_GPU", required)
    found = findings(code=int(state == "PROBLEM"))["GPU"]
    assert found[0] == state
    assert told in found[1]


@pytest.fixture
def bucket(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A storage in a bucket, where all of AWS answers at one address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("SLOWMO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLOWMO_STORAGE", s3_url)
    return s3_url


def test_of_a_bucket_it_says_who_asks(bucket: str) -> None:
    found = findings()
    assert found["AWS"] == ("ok", "arn:aws:sts::123456789012:user/moto")
    assert found["storage"] == ("ok", f"{bucket} can be written")
    assert "disk of the storage" not in found


def test_credentials_that_are_missing_are_a_problem(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    told = problems(findings(code=1))
    assert {*told} == {"AWS", "storage"}
    assert "aws configure" in told["AWS"]


def test_an_endpoint_that_sagemaker_lost_is_a_problem(bucket: str) -> None:
    record = EndpointRecord(model_id="film-1", max_body_bytes=10**6, sagemaker_endpoint="slowmo-film")
    write_served(open_storage(bucket), "film", record)
    told = problems(findings(code=1))
    assert [*told] == ["endpoint film"]
    assert "slowmo-film is not there" in told["endpoint film"]
