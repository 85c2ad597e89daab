"""`--output` writes what it says and destroys nothing, and says so before any work is done."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.video.reader import probe
from slowmo_pipeline_tests.support.film_models import TINY, random_film
from slowmo_pipeline_tests.support.forked import FILM, Forked, slowmo
from slowmo_pipeline_tests.support.media import grey_frames, write_clip
from slowmo_pipeline_tests.support.pipeline import LIMITS, TestPipeline, fade_pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home"), kept=True) as pipeline:
        yield pipeline


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", grey_frames(4))


def refused(pipeline: TestPipeline, *arguments: object) -> str:
    """What a command says that is refused before it has stored anything."""
    before = {entry.key for entry in pipeline.storage.uploads().entries}
    done = slowmo("run", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert {entry.key for entry in pipeline.storage.uploads().entries} == before
    return done.stderr


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # what /dev/null is


def a_link_to_a_device(path: Path) -> None:
    a_device(path.with_name("device"))
    path.symlink_to("device")


@pytest.mark.parametrize("made", [a_pipe, a_device, a_link_to_a_device])
def test_what_is_no_file_is_left_alone(
    pipeline: TestPipeline, clip: Path, tmp_path: Path, made: Callable[[Path], None]
) -> None:
    made(tmp_path / "there.mp4")
    before = (tmp_path / "there.mp4").lstat()
    assert "no regular file" in refused(pipeline, clip, "--output", tmp_path / "there.mp4", "--overwrite")
    assert os.path.samestat((tmp_path / "there.mp4").lstat(), before)


@pytest.mark.parametrize("link", [os.link, os.symlink, lambda clip, path: None])
def test_a_source_is_never_replaced(
    pipeline: TestPipeline, clip: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    other, before = write_clip(tmp_path / "other.mp4", grey_frames(5)), clip.read_bytes()
    link(clip, tmp_path / "out.mp4")
    place = tmp_path / "out.mp4" if (tmp_path / "out.mp4").exists() else clip
    assert "is a source" in refused(pipeline, clip, "--output", place, "--overwrite")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.mp4").symlink_to(clip)
    told = slowmo("run", other, clip, "--output", tmp_path / "folder", "--overwrite")
    assert "other.mp4 is a source" in told.stderr
    assert clip.read_bytes() == before


def test_a_file_is_replaced_only_when_told(pipeline: TestPipeline, clip: Path, tmp_path: Path) -> None:
    place = tmp_path / "there.mp4"
    place.write_text("precious")
    assert "replace it with --overwrite" in refused(pipeline, clip, "--output", place)
    assert place.read_text() == "precious"
    assert slowmo("run", clip, "--output", place, "--overwrite").stdout == f"{place}\n"
    assert probe(place, limits=LIMITS).frame_count == 16


def test_what_a_link_points_to_is_written(pipeline: TestPipeline, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to("elsewhere.mp4")
    assert slowmo("run", clip, "--output", tmp_path / "link.mp4").returncode == 0
    assert (tmp_path / "link.mp4").is_symlink()
    assert probe(tmp_path / "elsewhere.mp4", limits=LIMITS).frame_count == 16


@pytest.mark.parametrize("spelling", ["there", "not/there/yet/"])
def test_a_folder_takes_results_under_the_names_of_their_clips(
    pipeline: TestPipeline, clip: Path, tmp_path: Path, spelling: str
) -> None:
    (tmp_path / "there").mkdir()
    second = write_clip(tmp_path / "second.mov", grey_frames(4))
    done = slowmo("run", clip, second, "--codec", "ffv1", "--output", f"{tmp_path}/{spelling}")
    folder = tmp_path / spelling
    assert done.stdout == f"{folder / 'clip.mkv'}\n{folder / 'second.mkv'}\n", done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["clip.mkv", "second.mkv"]


def test_two_clips_of_one_name_are_not_put_into_one_folder(pipeline: TestPipeline, clip: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "clip.mov", grey_frames(4))
    assert refused(pipeline, clip, other, "--output", f"{tmp_path}/out/").count("the result of several clips") == 2


@pytest.mark.parametrize(
    ("codec", "name", "told"),
    [
        ("h265", "a.mkv", "h265 makes .mp4 files. Name it a.mp4, or add --codec ffv1."),
        ("ffv1", "b.mp4", "ffv1 makes .mkv files. Name it b.mkv, or add --codec h264 or h265."),
        ("prores", "c.webm", "prores makes .mov files. Name it c.mov."),
        ("h264", "d", "h264 makes .mp4 files. Name it d.mp4."),
    ],
)
def test_a_suffix_of_another_container_is_refused_with_the_one_that_fits(
    pipeline: TestPipeline, clip: Path, tmp_path: Path, codec: str, name: str, told: str
) -> None:
    assert told in refused(pipeline, clip, "--codec", codec, "--output", tmp_path / name)


@pytest.mark.parametrize("place", ["clip.mp4/below.mp4", "x" * 300 + ".mp4"])
def test_a_place_that_cannot_be_is_refused(pipeline: TestPipeline, clip: Path, tmp_path: Path, place: str) -> None:
    assert "cannot be written: " in refused(pipeline, clip, "--output", tmp_path / place)


def test_a_file_that_came_meanwhile_stays_and_the_result_is_named(
    pipeline: TestPipeline, clip: Path, tmp_path: Path
) -> None:
    """Two commands for one place: both find it free."""
    second = write_clip(tmp_path / "second.mp4", grey_frames(5))
    place = tmp_path / "out.mp4"
    program = f"""
from pathlib import Path
from slowmo_pipeline.machine import run as running
run_clip = running.Pipeline.run_clip
def slow(*given, **named):
    Path({str(place)!r}).write_text("first")
    return run_clip(*given, **named)
running.Pipeline.run_clip = slow
from slowmo_pipeline.cli.app import main
main()
"""
    done = Forked("run", second, "--output", place, program=program).end()
    assert done.returncode == 1
    assert place.read_text() == "first"
    [path] = [line.rpartition("The result is ")[2].rstrip(".") for line in done.stderr.splitlines() if "exists" in line]
    assert probe(Path(path), limits=LIMITS).frame_count == 20


def test_a_package_goes_by_the_same_rule(tmp_path: Path) -> None:
    film = random_film(tmp_path / "film", **TINY)
    a_device(tmp_path / "model.tar.gz")
    done = slowmo("model", "package", film, "-o", tmp_path / "model.tar.gz", "--pyramid-levels", 2, imported=FILM)
    assert done.returncode == 1
    assert "no regular file" in done.stderr
    assert stat.S_ISCHR((tmp_path / "model.tar.gz").stat().st_mode)
