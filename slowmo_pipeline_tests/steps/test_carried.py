"""What a source has beyond plain frames, taken through all steps: in originals and new frames, and beside them."""

from pathlib import Path

import av
import numpy as np
import pytest

from slowmo_pipeline.steps.records import read_final
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline_tests.steps.test_verify import final_of, made, verified
from slowmo_pipeline_tests.support.media import BT709, grey_frames, plane_samples, run_ffmpeg, write_clip, write_planes


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "storage")


def luma_of(path: Path) -> list[list[int]]:
    """Of each picture, in the middle of sixteen upright stripes."""
    with av.open(str(path)) as container:
        return [plane_samples(picture.planes[0])[24, 8::16].tolist() for picture in container.decode(video=0)]


def test_originals_and_new_frames_are_as_white_as_the_source(storage: FolderStorage, tmp_path: Path) -> None:
    stripes = np.repeat(np.linspace(1, 254, 16).astype(int), 16)[np.newaxis]
    clip = write_planes(
        tmp_path / "a.mkv", [stripes, 128, 128], pixel_format="yuv444p", colour=BT709, count=3, size=(256, 48)
    )
    video_id = made(storage, clip, slowdown="3", crf=1)
    pictures = luma_of(final_of(storage, video_id))
    assert len(pictures) == 9
    assert np.abs(np.array(pictures) - stripes[0, 8::16]).max() <= 1
    found = verified(storage, video_id)
    assert min(sample.psnr for sample in found.samples) > 45


def test_chapters_and_title_of_an_upload_are_in_its_video(storage: FolderStorage, tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", grey_frames(24))
    told = tmp_path / "told.txt"
    told.write_text(";FFMETADATA1\ntitle=Climb\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=Summit\n")
    clip = tmp_path / "clip.mkv"
    run_ffmpeg("-i", str(plain), "-f", "ffmetadata", "-i", str(told), "-map_metadata", "1", "-c", "copy", str(clip))
    video_id = made(storage, clip, slowdown="4")
    with av.open(str(final_of(storage, video_id))) as container:
        _, chapter = container.chapters()
        assert container.metadata["title"] == "Climb"
    assert (chapter["start"] * (chapter["time_base"] or 0), chapter["metadata"]["title"]) == (2, "Summit")


def test_what_a_codec_cannot_carry_is_a_note_of_the_video(storage: FolderStorage, tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", grey_frames(6))
    clip = tmp_path / "clip.mkv"
    run_ffmpeg("-i", str(plain), "-c", "copy", "-metadata", "lens=50 mm", str(clip))
    final = read_final(storage, made(storage, clip))
    assert final is not None
    assert final.notes == ("Left out of the result, whose container has no place for them: the tags lens.",)
