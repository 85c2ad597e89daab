"""What `slowmo compare` refuses before any work."""

from pathlib import Path

import pytest

from slowmo_pipeline_tests.support.forked import slowmo


@pytest.mark.parametrize(
    ("name", "told"), [("there.mp4", "there.mp4 exists. Choose another --output"), ("new.mkv", "Name it new.mp4.")]
)
def test_a_place_that_cannot_be_is_refused(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_text("somebody's")
    answer = slowmo("compare", "clip-0123456789abcdef", "--output", tmp_path / name)
    assert answer.returncode == 1
    assert told in answer.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["somebody's"]


def test_a_video_that_is_unknown_leaves_no_file(tmp_path: Path) -> None:
    answer = slowmo("compare", "clip-0123456789abcdef", "--output", tmp_path / "new.mp4")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "clip-0123456789abcdef" in answer.stderr
    assert not list(tmp_path.iterdir())
