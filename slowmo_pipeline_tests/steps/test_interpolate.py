"""Every chunk to its result, whatever the endpoint does and whenever a run dies."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slowmo_pipeline.endpoint.client import AsyncEndpoint, Receipt
from slowmo_pipeline.errors import (
    EndpointError,
    EndpointUnreachableError,
    InterpolationFailedError,
    UnknownVideoError,
)
from slowmo_pipeline.progress import Quiet
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.interpolate import Interpolated, Interpolation
from slowmo_pipeline.steps.pending_marker import Pending, read_pending
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import FAILURES, PENDING, ResultKeys, VideoKeys
from slowmo_pipeline_tests.support.videos import drop_and_cut, finish, quiet, serve

CHUNKS = 4


class Endpoint(AsyncEndpoint):
    """Notes what is submitted, and does at once with each attempt at a chunk what the test says: by default succeed."""

    def __init__(self, storage: Storage) -> None:
        super().__init__("flow", storage, url=None)
        self.storage = storage
        self.submitted: list[tuple[int, int]] = []
        """Chunk and attempt."""
        self.acts: dict[int, list[str]] = defaultdict(list)
        """For each chunk what happens to its attempts, in order: "succeed", "vanish", "expire", or a failure."""
        self.before_poll: Callable[[], object] = lambda: None

    def submit(self, *, input_key: str, result_key: str, inference_id: str, attempt: int) -> Receipt:
        chunk = int(Path(result_key).stem)
        act = self.acts[chunk].pop(0) if self.acts[chunk] else "succeed"
        if act == "refuse":
            raise EndpointUnreachableError("nobody answers")
        self.submitted.append((chunk, attempt))
        assert self.storage.stat(input_key)
        failure_key = f"{FAILURES}{inference_id}-error.out"
        if act == "succeed":
            self.storage.write(result_key, b"result")
        elif act.startswith("{"):
            self.storage.write(failure_key, act.encode())
        return Receipt(
            inference_id=inference_id,
            failure_location=self.storage.uri(failure_key),
            submitted_at=time.time(),
            deadline=time.time() + (-1 if act == "expire" else 1000),
            attempt=attempt,
        )

    def check_alive(self) -> None:
        self.before_poll()

    @property
    def poll_seconds(self) -> float:
        return 0


def failure(code: int, message: str = "no") -> str:
    return json.dumps({"code": code, "error": "Error", "message": message})


@pytest.fixture
def video_id(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> str:
    """A video of four chunks."""
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    video_id, cut = drop_and_cut(storage)
    assert len(cut.active.plan.chunks) == CHUNKS
    return video_id


@pytest.fixture
def endpoint(storage: Storage) -> Endpoint:
    return Endpoint(storage)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is busy or gone is given no time."""
    monkeypatch.setattr("slowmo_pipeline.steps.interpolate.BUSY_SECONDS", -1)
    monkeypatch.setattr("slowmo_pipeline.steps.interpolate.RESTART_SECONDS", -1)


def run(endpoint: Endpoint, video_id: str, *, wait: bool = True, max_attempts: int = 3) -> Interpolated:
    """One run: whatever it knows, it has from the storage."""
    interpolation = Interpolation(
        endpoint.storage,
        lambda name: endpoint,
        read_active_plan(endpoint.storage, video_id),
        max_attempts=max_attempts,
        progress=quiet,
    )
    return interpolation.run(wait=wait)


def result_keys(storage: Storage, video_id: str) -> ResultKeys:
    current = read_active_plan(storage, video_id).versions
    return VideoKeys(video_id).plan(current.plan).model(current.model_id)


def keys_below(storage: Storage, prefix: str) -> list[str]:
    return sorted(entry.key for entry in storage.list(prefix))


def test_every_chunk_is_submitted_once(endpoint: Endpoint, video_id: str) -> None:
    assert run(endpoint, video_id) == Interpolated(complete=True, submitted=4, chunks=4)
    assert endpoint.submitted == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert keys_below(endpoint.storage, PENDING) == []


def test_repeating_submits_nothing(endpoint: Endpoint, video_id: str) -> None:
    run(endpoint, video_id)

    assert run(endpoint, video_id) == Interpolated(complete=True, submitted=0, chunks=4)
    assert len(endpoint.submitted) == 4


def test_only_what_is_missing_is_submitted(endpoint: Endpoint, video_id: str) -> None:
    keys = result_keys(endpoint.storage, video_id)
    for chunk in (0, 3):
        endpoint.storage.write(keys.result(chunk), b"result")

    assert run(endpoint, video_id).submitted == 2
    assert endpoint.submitted == [(1, 1), (2, 1)]


def test_what_is_under_way_is_waited_for_by_the_next_run(endpoint: Endpoint, video_id: str) -> None:
    for chunk in range(4):
        endpoint.acts[chunk] = ["vanish"]
    run(endpoint, video_id, wait=False)
    keys = result_keys(endpoint.storage, video_id)

    def all_finish() -> None:
        for chunk in range(4):
            endpoint.storage.write(keys.result(chunk), b"result")

    endpoint.before_poll = all_finish

    assert run(endpoint, video_id) == Interpolated(complete=True, submitted=0, chunks=4)


@pytest.mark.usefixtures("impatient")
def test_run_that_died_while_submitting_is_continued(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[2] = ["refuse"]
    with pytest.raises(EndpointUnreachableError):
        run(endpoint, video_id)
    run(endpoint, video_id)

    assert endpoint.submitted == [(0, 1), (1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize("wait", [True, False])
def test_failure_of_the_chunks_own_is_not_tried_again(endpoint: Endpoint, video_id: str, wait: bool) -> None:
    endpoint.acts[1] = [failure(400, "config.json: no")]
    if not wait:
        run(endpoint, video_id, wait=False)
    with pytest.raises(InterpolationFailedError, match=r"1 of 4 chunks .* Chunk 1, after attempt 1: config.json: no\."):
        run(endpoint, video_id, wait=wait)

    assert endpoint.submitted == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert len(keys_below(endpoint.storage, result_keys(endpoint.storage, video_id).results)) == 3
    assert keys_below(endpoint.storage, PENDING) == []


@pytest.mark.parametrize("act", [failure(500), failure(507), "<html>Bad gateway</html>".join("{}"), "expire"])
def test_failure_of_the_endpoint_is_tried_again(endpoint: Endpoint, video_id: str, act: str) -> None:
    endpoint.acts[1] = [act, act]

    assert run(endpoint, video_id) == Interpolated(complete=True, submitted=6, chunks=4)
    assert endpoint.submitted[4:] == [(1, 2), (1, 3)]
    assert keys_below(endpoint.storage, FAILURES) == []


@pytest.mark.parametrize(("act", "reason"), [(failure(500, "dead"), "dead"), ("expire", "before the deadline")])
def test_attempts_come_to_an_end(endpoint: Endpoint, video_id: str, act: str, reason: str) -> None:
    endpoint.acts[1] = [act] * 9
    with pytest.raises(InterpolationFailedError, match=rf"Chunk 1, after attempt 3: .*{reason}\. The other results"):
        run(endpoint, video_id, max_attempts=3)

    assert [attempt for chunk, attempt in endpoint.submitted if chunk == 1] == [1, 2, 3]


def test_next_run_tries_what_failed_for_good_afresh(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = [failure(400)]
    with pytest.raises(InterpolationFailedError):
        run(endpoint, video_id)
    assert keys_below(endpoint.storage, FAILURES) == []
    endpoint.submitted.clear()

    assert run(endpoint, video_id).complete
    assert endpoint.submitted == [(1, 1)]


def test_attempts_are_counted_across_runs(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = [failure(500)] * 2
    for _ in range(2):
        run(endpoint, video_id, wait=False, max_attempts=2)
    with pytest.raises(InterpolationFailedError, match="after attempt 2"):
        run(endpoint, video_id, wait=False, max_attempts=2)


def test_result_counts_although_an_earlier_attempt_failed(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = [failure(400)]
    run(endpoint, video_id, wait=False)
    endpoint.storage.write(result_keys(endpoint.storage, video_id).result(1), b"result")

    assert run(endpoint, video_id).complete


def test_without_waiting_a_marker_stays_until_the_results_are_assembled(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = ["vanish"]

    assert run(endpoint, video_id, wait=False) == Interpolated(complete=False, submitted=4, chunks=4)
    pending, current = read_pending(endpoint.storage, video_id), read_active_plan(endpoint.storage, video_id).versions
    assert pending
    assert (pending.plan, pending.model_id) == (current.plan, current.model_id)
    assert pending.submitted_at <= time.time() < pending.deadline

    endpoint.storage.write(result_keys(endpoint.storage, video_id).result(1), b"result")
    assert run(endpoint, video_id, wait=False) == Interpolated(complete=True, submitted=0, chunks=4)
    assert read_pending(endpoint.storage, video_id)
    finish(endpoint.storage, video_id)
    run(endpoint, video_id, wait=False)
    assert read_pending(endpoint.storage, video_id) is None


def test_looking_again_does_not_change_the_marker(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = ["vanish"]
    run(endpoint, video_id, wait=False)
    before = read_pending(endpoint.storage, video_id)
    run(endpoint, video_id, wait=False)

    assert read_pending(endpoint.storage, video_id) == before


def test_submitting_again_changes_the_marker(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = [failure(500), "vanish"]
    run(endpoint, video_id, wait=False)
    before = read_pending(endpoint.storage, video_id)
    run(endpoint, video_id, wait=False)
    after = read_pending(endpoint.storage, video_id)

    assert before
    assert after
    assert after.submitted_at > before.submitted_at


@pytest.mark.usefixtures("impatient")
def test_run_that_cannot_submit_leaves_one_marker_however_often_it_is_repeated(
    endpoint: Endpoint, video_id: str
) -> None:
    """The completion sensor starts one run for each state of the marker: this must not go round for ever."""
    endpoint.acts[0] = ["refuse"] * 2
    markers = set()
    for _ in range(2):
        with pytest.raises(EndpointUnreachableError):
            run(endpoint, video_id, wait=False)
        markers.add(read_pending(endpoint.storage, video_id))

    assert len(markers) == 1
    assert None not in markers


def test_few_are_under_way_at_once(endpoint: Endpoint, video_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.steps.interpolate.MAX_UNDER_WAY", 3)
    for chunk in range(4):
        endpoint.acts[chunk] = ["vanish"]

    assert run(endpoint, video_id, wait=False).submitted == 3
    assert run(endpoint, video_id, wait=False).submitted == 0
    endpoint.storage.write(result_keys(endpoint.storage, video_id).result(0), b"result")
    assert run(endpoint, video_id, wait=False).submitted == 1


def test_more_under_way_than_allowed_is_waited_for(
    endpoint: Endpoint, video_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version may allow fewer."""
    for allowed, submitted in ((2, 2), (1, 0)):
        monkeypatch.setattr("slowmo_pipeline.steps.interpolate.MAX_UNDER_WAY", allowed)
        for chunk in range(4):
            endpoint.acts[chunk] = ["vanish"]
        assert run(endpoint, video_id, wait=False).submitted == submitted


def test_waiting_fills_the_queue_up_again(endpoint: Endpoint, video_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.steps.interpolate.MAX_UNDER_WAY", 2)
    keys = result_keys(endpoint.storage, video_id)
    for chunk in range(4):
        endpoint.acts[chunk] = ["vanish"]
    finished: list[int] = []

    def one_finishes() -> None:
        assert len(endpoint.submitted) - len(finished) <= 2
        endpoint.storage.write(keys.result(len(finished)), b"result")
        finished.append(len(finished))

    endpoint.before_poll = one_finishes

    assert run(endpoint, video_id).submitted == 4


def gone(*_: object) -> AsyncEndpoint:
    raise EndpointUnreachableError("nobody answers")


@pytest.mark.usefixtures("impatient")
def test_endpoint_that_stays_gone_ends_the_wait_and_loses_nothing(endpoint: Endpoint, video_id: str) -> None:
    for chunk in range(4):
        endpoint.acts[chunk] = ["vanish"]
    endpoint.before_poll = gone
    connections: Iterator[Callable[[], AsyncEndpoint]] = iter([lambda: endpoint, gone])
    interpolation = Interpolation(
        endpoint.storage,
        lambda name: next(connections)(),
        read_active_plan(endpoint.storage, video_id),
        max_attempts=1,
        progress=quiet,
    )
    with pytest.raises(EndpointUnreachableError):
        interpolation.run(wait=True)

    assert run(endpoint, video_id, wait=False).submitted == 0


def test_endpoint_that_was_started_again_is_found(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = ["vanish"]
    endpoint.before_poll = gone
    again = Endpoint(endpoint.storage)
    again.before_poll = lambda: again.storage.write(result_keys(again.storage, video_id).result(1), b"result")
    connections = iter([endpoint, again])
    interpolation = Interpolation(
        endpoint.storage,
        lambda name: next(connections),
        read_active_plan(endpoint.storage, video_id),
        max_attempts=1,
        progress=quiet,
    )

    assert interpolation.run(wait=True) == Interpolated(complete=True, submitted=4, chunks=4)


def test_another_model_needs_other_chunks(endpoint: Endpoint, video_id: str) -> None:
    serve(endpoint.storage, model_id="fade-2")
    with pytest.raises(EndpointError, match=r"now runs fade-2, .* for fade-1: materialise frame_chunks again"):
        run(endpoint, video_id)

    assert endpoint.submitted == []


def test_chunk_that_is_gone_is_not_submitted(endpoint: Endpoint, video_id: str) -> None:
    key = read_active_plan(endpoint.storage, video_id).keys.chunk(2)
    endpoint.storage.delete([key])
    with pytest.raises(UnknownVideoError, match=f"{key} is not there any more: materialise frame_chunks again"):
        run(endpoint, video_id)

    assert endpoint.submitted == []


def test_chunk_larger_than_the_endpoint_takes_is_not_submitted(endpoint: Endpoint, video_id: str) -> None:
    serve(endpoint.storage, max_body_bytes=1000)
    with pytest.raises(EndpointError, match=r"accepts 1000: raise its limit, or set images to jpeg"):
        run(endpoint, video_id)

    assert endpoint.submitted == []


def test_finished_video_needs_no_results(endpoint: Endpoint, video_id: str) -> None:
    finish(endpoint.storage, video_id)

    assert run(endpoint, video_id) == Interpolated(complete=True, submitted=0, chunks=4)


def test_a_plan_for_another_model_keeps_its_marker_for_the_sensor(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = ["vanish"]
    run(endpoint, video_id, wait=False)
    before = read_pending(endpoint.storage, video_id)
    serve(endpoint.storage, model_id="fade-2")
    with pytest.raises(EndpointError, match="materialise frame_chunks again"):
        run(endpoint, video_id, wait=False)

    assert before
    assert read_pending(endpoint.storage, video_id) == before


def test_a_marker_remembers_the_models_that_its_video_was_changed_to(endpoint: Endpoint, video_id: str) -> None:
    remembered = []
    for model_id in ("fade-1", "fade-2", "fade-2", "fade-1", "fade-2"):
        serve(endpoint.storage, model_id=model_id)
        cut(endpoint.storage, video_id, progress=quiet)
        for chunk in range(CHUNKS):
            endpoint.acts[chunk] = ["vanish"]
        run(endpoint, video_id, wait=False)
        pending = read_pending(endpoint.storage, video_id)
        assert pending
        remembered.append((pending.model_id, pending.changed_to))

    assert remembered == [
        ("fade-1", ()),
        ("fade-2", ("fade-2",)),
        ("fade-2", ("fade-2",)),
        ("fade-1", ("fade-2", "fade-1")),
        ("fade-2", ("fade-2", "fade-1")),
    ]


def test_a_marker_of_another_plan_begins_anew(endpoint: Endpoint, video_id: str) -> None:
    endpoint.acts[1] = ["vanish"]
    earlier = Pending(plan="0" * 16, model_id="fade-1", submitted_at=1.0, deadline=2.0, changed_to=("fade-2",))
    write_record(endpoint.storage, VideoKeys(video_id).pending, earlier)
    run(endpoint, video_id, wait=False)
    marker = read_pending(endpoint.storage, video_id)

    assert marker
    assert (marker.plan != earlier.plan, marker.changed_to) == (True, ())


def test_video_that_wants_nothing_is_complete(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder, slowdown=1)

    assert run(Endpoint(folder), video_id) == Interpolated(complete=True, submitted=0, chunks=0)


def test_progress_counts_results(endpoint: Endpoint, video_id: str) -> None:
    class Told(Quiet):
        def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
            told.append((stage, done, total, unit))

    told: list[Any] = []
    endpoint.storage.write(result_keys(endpoint.storage, video_id).result(2), b"result")
    Interpolation(
        endpoint.storage,
        lambda name: endpoint,
        read_active_plan(endpoint.storage, video_id),
        max_attempts=1,
        progress=Told(),
    ).run(wait=True)

    assert told == [("interpolate", 1, 4, "chunks"), ("interpolate", 4, 4, "chunks")]
