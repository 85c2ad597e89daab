import hashlib
from pathlib import Path

import pytest

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.storage.hashing import file_sha256


def test_digest_is_the_sha256_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * 1024**2 + 7))

    assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_progress_ends_with_the_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * 1024**2 + 7))
    told: list[tuple[str, int, int, str]] = []
    file_sha256(path, lambda *report: told.append(report))

    assert [done for _, done, _, _ in told] == [1024**2, 2 * 1024**2, 3 * 1024**2, 3 * 1024**2 + 7]
    assert {(stage, total, unit) for stage, _, total, unit in told} == {("read", 3 * 1024**2 + 7, "bytes")}


def test_empty_file_has_a_digest(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"").hexdigest()


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(StorageError, match=r"^/proc/self/mem cannot be read: Input/output error\. Let this user read"):
        file_sha256(Path("/proc/self/mem"))
