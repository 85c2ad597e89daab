from collections.abc import Iterator
from pathlib import Path

import pytest

from slowmo_pipeline.serving.local.request_queue import Request, RequestLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.sqlite"


@pytest.fixture
def log(path: Path) -> Iterator[RequestLog]:
    log = RequestLog(path)
    yield log
    log.close()


def request_named(name: str, *, endpoint: str = "flow") -> Request:
    return Request(
        id=name,
        storage="file:///storage",
        endpoint=endpoint,
        inference_id="clip-0-1",
        input_key="chunks/0.tar",
        result_key="results/0.tar",
        failure_key=f"failures/{name}",
        ttl_seconds=60,
        timeout_seconds=9,
        accepted_at=1_700_000_000.25,
    )


def test_requests_come_back_as_they_were_in_order_of_acceptance(log: RequestLog, path: Path) -> None:
    for name in "cab":
        log.add(request_named(name))
    log.close()

    reopened = RequestLog(path)
    assert reopened.ids("file:///storage", ["flow"]) == ["c", "a", "b"]
    assert reopened.get("a") == request_named("a")
    reopened.close()


def test_removed_request_is_forgotten(log: RequestLog) -> None:
    log.add(request_named("a"))
    log.remove(request_named("a"))

    assert log.ids("file:///storage", ["flow"]) == []
    with pytest.raises(KeyError):
        log.get("a")


def test_requests_for_other_endpoints_and_storages_are_left_alone(log: RequestLog) -> None:
    log.add(request_named("a"))
    log.add(request_named("b", endpoint="film"))

    assert log.ids("file:///storage", ["film"]) == ["b"]
    assert log.ids("file:///storage", ["film", "flow"]) == ["a", "b"]
    assert log.ids("file:///other", ["film", "flow"]) == []


def test_deaths_are_counted_on_disk(log: RequestLog, path: Path) -> None:
    log.add(request_named("a"))
    for _ in range(2):
        log.count_death(log.get("a"))
    log.close()

    reopened = RequestLog(path)
    assert reopened.get("a").deaths == 2
    reopened.close()
