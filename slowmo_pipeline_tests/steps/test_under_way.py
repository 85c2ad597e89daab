"""What is told of the videos under way before another model is deployed."""

import pytest

from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.steps import under_way as module
from slowmo_pipeline.steps.under_way import under_way
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy, refuse_as_s3
from slowmo_pipeline_tests.support.steps import submitted


@pytest.fixture
def deployed(storage: Storage) -> Storage:
    """A storage that film-1 serves, with a video of which 1 of 4 chunks is done, and one of 2 chunks."""
    write_served(storage, "film", EndpointRecord(model_id="film-1", max_body_bytes=1, sagemaker_endpoint="slowmo-film"))
    results = submitted(storage, "a", interpolator="film", model_id="film-1", chunks=4)
    storage.write(results.result(2), b"result")
    submitted(storage, "b", interpolator="film", model_id="film-1", chunks=2)
    return storage


def told(videos: int, chunks: int) -> list[str]:
    return [
        f"under way with film-1: {videos} videos. What it has not completed is made with film-2; up to {chunks} chunks "
        "in its queue are still computed and paid for"
    ]


def test_videos_and_what_queues_for_the_old_model_are_counted(deployed: Storage) -> None:
    assert under_way(deployed, "film", "film-2") == told(2, 5)


def test_what_has_failed_does_not_queue(deployed: Storage) -> None:
    for name in ("a-0", "a-2", "b-1", "somebody-elses"):
        deployed.write(f"failures/{name}.out", b"{}")

    assert under_way(deployed, "film", "film-2") == told(2, 3)


def test_of_many_chunks_only_some_receipts_are_read(deployed: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECEIPTS", 0)
    deployed.write("failures/a-0.out", b"{}")

    assert under_way(deployed, "film", "film-2") == told(2, 5)


def test_videos_of_other_endpoints_and_of_models_before_do_not_count(deployed: Storage) -> None:
    submitted(deployed, "c", interpolator="film-b", model_id="film-1", chunks=3)
    submitted(deployed, "d", interpolator="film", model_id="film-0", chunks=3)
    deployed.write(VideoKeys("e").pending, b"torn")

    assert under_way(deployed, "film", "film-2") == told(2, 5)


def test_who_may_not_read_what_is_under_way_is_told(proxy: FaultProxy, s3_url: str) -> None:
    storage = open_storage(s3_url)
    write_served(storage, "film", EndpointRecord(model_id="film-1", max_body_bytes=1))
    submitted(storage, "a", interpolator="film", model_id="film-1", chunks=1)
    proxy.inject(refuse_as_s3(403, "AccessDenied"), times=9, meant=lambda asked: "/pending/" in asked.path)
    [told] = under_way(storage, "film", "film-2")

    assert told.startswith("not known what is under way with film-1: AWS does not let these credentials use s3://")


@pytest.mark.parametrize(("interpolator", "model_id"), [("film", "film-1"), ("film-b", "film-2")])
def test_a_model_that_replaces_none_has_nothing_to_tell(deployed: Storage, interpolator: str, model_id: str) -> None:
    assert under_way(deployed, interpolator, model_id) == []
