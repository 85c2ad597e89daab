"""What a worker does with one job, above all when its storage refuses."""

from pathlib import Path

import pytest

from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.serving.local.worker_main import run
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.patience import LOCAL_SERVER_SECONDS, local_server_pauses
from slowmo_pipeline_tests.support.interpolators import FADE, Scripted
from slowmo_pipeline_tests.support.local_server import grey_chunk, grey_of

JOB = {"input": "chunks/0.tar", "result": "results/0.tar"}


class Refusing(FolderStorage):
    """Refuses the first reads and writes, as with credentials that have run out until somebody renews them."""

    refusals = 0

    def read(self, key: str) -> bytes:
        self._refuse()
        return super().read(key)

    def write(self, key: str, data: bytes) -> None:
        self._refuse()
        super().write(key, data)

    def _refuse(self) -> None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise StorageError("AWS does not take the credentials.")


class Counting(Scripted):
    renders = 0

    def render(self, *arguments, **options):  # type: ignore[no-untyped-def]  # as the one that it counts
        self.renders += 1
        return super().render(*arguments, **options)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refusing:
    monkeypatch.setattr("slowmo_pipeline.serving.local.worker_main.time.sleep", lambda seconds: None)
    storage = Refusing(tmp_path)
    storage.write(JOB["input"], grey_chunk(FADE))
    return storage


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.mark.parametrize("refusals", [1, 5])
def test_what_the_storage_refuses_is_told_and_tried_again(storage: Refusing, told: list[str], refusals: int) -> None:
    storage.refusals = refusals

    assert run(JOB, storage, Scripted(), told.append) == {}
    assert told == ["AWS does not take the credentials."] * refusals
    assert grey_of(storage.read(JOB["result"])) == FADE + 20


def test_new_frames_are_made_once_however_often_they_cannot_be_stored(storage: Refusing, told: list[str]) -> None:
    class ReadOnce(Refusing):
        def read(self, key: str) -> bytes:
            return FolderStorage.read(self, key)

    refusing, interpolator = ReadOnce(Path(storage.url.removeprefix("file://"))), Counting()
    refusing.refusals = 9

    assert run(JOB, refusing, interpolator, told.append) == {}
    assert (len(told), interpolator.renders) == (9, 1)


def test_a_storage_that_never_relents_ends_in_a_failure_that_says_why(storage: Refusing, told: list[str]) -> None:
    storage.refusals = 10**6

    failure = run(JOB, storage, Scripted(), told.append)["failure"]
    assert (failure["code"], failure["message"]) == (500, "AWS does not take the credentials.")
    assert len(told) == len([*local_server_pauses()])


def test_pauses_grow_and_are_bounded() -> None:
    waited = [*local_server_pauses()]

    assert waited[:6] == [1, 2, 4, 8, 16, 30]
    assert max(waited) == 30
    assert LOCAL_SERVER_SECONDS - 30 <= sum(waited) <= LOCAL_SERVER_SECONDS
