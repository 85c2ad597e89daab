"""Paths of the environment keep their meaning, wherever a process works."""

from pathlib import Path

import pytest

from slowmo_pipeline.environment import Home, in_another_folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "there"),
    [
        ("PYTHONPATH", "src:/opt/lib", "{here}/src:/opt/lib"),
        ("FFMPEG_BINARY", "bin/ffmpeg", "{here}/bin/ffmpeg"),
        ("FFMPEG_BINARY", "ffmpeg", "ffmpeg"),
        ("AWS_CONFIG_FILE", "aws.ini", "{here}/aws.ini"),
        ("AWS_CONFIG_FILE", "~/aws.ini", "~/aws.ini"),
        ("AWS_PROFILE", "team", "team"),
    ],
)
def test_variable_names_the_same_file_in_another_folder(
    name: str, value: str, there: str, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert in_another_folder()[name] == there.format(here=here)


@pytest.mark.parametrize(
    ("given", "url"),
    [("videos", "{here}/videos"), ("./a: b", "{here}/a: b"), ("s3://bucket/x", "s3://bucket/x"), ("s3:x", "s3:x")],
)
def test_storage_is_the_same_in_another_folder(
    given: str, url: str, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOWMO_STORAGE", given)
    assert Home(Path("/home")).storage_url == url.format(here=here)
