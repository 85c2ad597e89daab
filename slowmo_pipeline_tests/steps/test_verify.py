"""The final video held against its plan: made by the steps themselves, then put out of order."""

from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.steps.assemble import assemble
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.records import read_active_plan, read_final
from slowmo_pipeline.steps.samples import SAMPLES
from slowmo_pipeline.steps.upload import register
from slowmo_pipeline.steps.verify import Verified, verify
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline_tests.support.media import FILM_RATE, moving_square, write_clip
from slowmo_pipeline_tests.support.videos import UPLOAD, interpolate, quiet, serve

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=10**4, max_seconds=1000)
FRAMES = 60


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "storage")


def made(storage: FolderStorage, clip: Path, **settings: object) -> str:
    """A finished video of the clip; its id."""
    storage.upload(clip, UPLOAD)
    serve(storage)
    video_id = register(storage, UPLOAD)
    inspect_upload(storage, video_id, chosen=settings, progress=quiet)
    cut(storage, video_id, progress=quiet)
    active = read_active_plan(storage, video_id)
    for chunk in active.plan.chunks:
        storage.write(active.result_keys.result(chunk.index), interpolate(storage.read(active.keys.chunk(chunk.index))))
    assemble(storage, active, progress=quiet)
    return video_id


def moved(folder: Path, suffix: str = ".mp4") -> Path:
    return write_clip(folder / f"moved{suffix}", moving_square(FRAMES, speed=1), options={"g": "12"})


def verified(storage: FolderStorage, video_id: str) -> Verified:
    final = read_final(storage, video_id)
    assert final
    return verify(storage, read_active_plan(storage, video_id), final)


def final_of(storage: FolderStorage, video_id: str) -> Path:
    return storage.root / VideoKeys(video_id).final(".mp4")


def put_off(path: Path, rate: Fraction) -> None:
    """Have each frame of a video shown one later, and the first twice."""
    frames = [frame for _, frame in read_frames(path, probe(path, limits=LIMITS))]
    write_clip(path, [frames[0], *frames[:-1]], rate=rate)


def test_with_another_rate_outputs_near_to_a_frame_are_compared_as_well(storage: FolderStorage, tmp_path: Path) -> None:
    found = verified(storage, made(storage, moved(tmp_path), slowdown=1, frame_rate="60"))
    assert found.is_exact
    assert [sample.is_shown for sample in found.samples] == [True] + [False] * (SAMPLES - 2) + [True]
    assert [sample.in_place for sample in found.samples] == [True] * SAMPLES
    assert found.compared.startswith("Frames that are shown as they are: 2. Too few are")


def test_an_output_near_to_a_frame_is_missed_from_its_place(storage: FolderStorage, tmp_path: Path) -> None:
    video_id = made(storage, moved(tmp_path), slowdown=1, frame_rate="60")
    put_off(final_of(storage, video_id), Fraction(60))
    found = verified(storage, video_id)
    assert found.is_exact
    assert {sample.in_place for sample in found.samples if not sample.is_shown} == {False}


def test_a_frame_that_is_shown_is_missed_from_its_place(storage: FolderStorage, tmp_path: Path) -> None:
    video_id = made(storage, moved(tmp_path), slowdown=3)
    put_off(final_of(storage, video_id), FILM_RATE)
    found = verified(storage, video_id)
    assert found.compared == f"Frames that are shown as they are: {SAMPLES}."
    assert {sample.in_place for sample in found.samples} == {False}
