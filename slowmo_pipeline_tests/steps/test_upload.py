from pathlib import Path

import pytest

from slowmo_pipeline.errors import StorageError, VideoIdTakenError
from slowmo_pipeline.steps.upload import register, upload_clip
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.hashing import file_sha256
from slowmo_pipeline.storage.keys import VideoKeys, earlier_video_id_of, sidecar_key, video_id_of
from slowmo_pipeline_tests.support.stored import read_json, write_json
from slowmo_pipeline_tests.support.videos import quiet


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my clip.mp4"
    path.write_bytes(b"content")
    return path


def test_clip_lands_under_its_content_and_name(storage: Storage, file: Path) -> None:
    key = upload_clip(storage, file, quiet, with_sidecar=True)

    assert key == f"uploads/{file_sha256(file)[:8]}/my clip.mp4"
    assert [entry.key for entry in storage.uploads().entries] == [key]
    assert storage.read(key) == b"content"


def test_copy_that_is_there_is_not_sent_again(storage: Storage, file: Path) -> None:
    key = upload_clip(storage, file, quiet, with_sidecar=False)
    before = storage.stat(key)

    assert upload_clip(storage, file, quiet, with_sidecar=False) == key
    assert storage.stat(key) == before


def test_other_content_of_the_same_name_is_another_upload(storage: Storage, file: Path) -> None:
    keys = {upload_clip(storage, file, quiet, with_sidecar=False)}
    file.write_bytes(b"content, edited")
    keys.add(upload_clip(storage, file, quiet, with_sidecar=False))

    assert len(keys) == 2
    assert {entry.key for entry in storage.uploads().entries} == keys


def test_copy_of_another_size_is_replaced(storage: Storage, file: Path) -> None:
    key = upload_clip(storage, file, quiet, with_sidecar=False)
    storage.write(key, b"cont")
    upload_clip(storage, file, quiet, with_sidecar=False)

    assert storage.read(key) == b"content"


def test_sidecar_goes_along_and_goes_first(storage: Storage, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(f"{file}.slowmo.json").write_text('{"slowdown": 8}')
    written: list[str] = []
    upload = storage.upload

    def noted_upload(path: Path, key: str) -> None:
        written.append(key)
        upload(path, key)

    monkeypatch.setattr(storage, "upload", noted_upload)
    key = upload_clip(storage, file, quiet, with_sidecar=True)

    assert written == [sidecar_key(key), key]
    assert read_json(storage, sidecar_key(key)) == {"slowdown": 8}


def test_sidecar_stays_when_not_asked_for(storage: Storage, file: Path) -> None:
    Path(f"{file}.slowmo.json").write_text('{"slowdown": 8}')
    key = upload_clip(storage, file, quiet, with_sidecar=False)

    assert storage.stat(sidecar_key(key)) is None


@pytest.mark.parametrize(("name", "told"), [("missing.mp4", "is not a file"), (".", "is a folder without images")])
def test_what_is_no_clip_is_refused(folder: Storage, tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(StorageError, match=told):
        upload_clip(folder, tmp_path / name, quiet, with_sidecar=True)


@pytest.mark.parametrize("name", ["a\nb.mp4", "tab\t.mp4", "not unicode \udcff.mp4"])
def test_name_that_no_storage_takes_is_refused(storage: Storage, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(StorageError, match=r"cannot be stored under that name\. Rename it"):
        upload_clip(storage, tmp_path / name, quiet, with_sidecar=True)

    assert list(storage.uploads().entries) == []


def test_registered_upload_is_known_by_its_id(storage: Storage) -> None:
    video_id = register(storage, "uploads/ab/clip.mp4")

    assert video_id == video_id_of("uploads/ab/clip.mp4")
    assert read_json(storage, VideoKeys(video_id).source) == {"upload": "uploads/ab/clip.mp4"}
    assert storage.folders("videos/") == (video_id,)


def test_registering_again_keeps_what_is_known(storage: Storage) -> None:
    video_id = register(storage, "uploads/clip.mp4")
    write_json(storage, VideoKeys(video_id).source, {"upload": "uploads/clip.mp4", "sha256": "00"})

    assert register(storage, "uploads/clip.mp4") == video_id
    assert read_json(storage, VideoKeys(video_id).source) == {"upload": "uploads/clip.mp4", "sha256": "00"}


def test_upload_whose_id_is_anothers_fails_loudly(storage: Storage) -> None:
    video_id = video_id_of("uploads/clip.mp4")
    write_json(storage, VideoKeys(video_id).source, {"upload": "uploads/other.mp4"})
    with pytest.raises(VideoIdTakenError, match=rf"{video_id} of uploads/clip\.mp4 is that of uploads/other\.mp4"):
        register(storage, "uploads/clip.mp4")


def test_torn_record_of_a_shared_id_is_not_taken_by_the_upload_that_has_its_own(storage: Storage) -> None:
    first, second = "uploads/117001/影片.mp4", "uploads/134173/影片.mp4"  # whose ids of 32 bits are equal
    write_json(storage, VideoKeys(earlier_video_id_of(first)).source, {"upload": first})
    assert register(storage, second) == video_id_of(second)
    storage.write(VideoKeys(earlier_video_id_of(first)).source, b"")

    assert register(storage, second) == video_id_of(second)
    assert register(storage, first) == earlier_video_id_of(first)
