"""When a pending plan needs a run, told by what is stored."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from slowmo_pipeline.endpoint.client import Receipt
from slowmo_pipeline.endpoint.local_client import Held
from slowmo_pipeline.endpoint.record import EndpointRecord, forget_served, write_served
from slowmo_pipeline.steps.pending_marker import NeededRun, Pending, needed_run, read_pending
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import ResultKeys, VideoKeys
from slowmo_pipeline_tests.support.stored import changed, write_json
from slowmo_pipeline_tests.support.videos import drop_and_cut, finish

CHUNKS = 4
FIRST = EndpointRecord(
    model_id="fade-1",
    max_body_bytes=10**6,
    sagemaker_endpoint="slowmo-flow",
    instance_type="ml.g5.xlarge",
    deployed_at=1.0,
)
SAME_HERE = EndpointRecord(model_id="fade-1", max_body_bytes=10**6)


@dataclass(frozen=True)
class Waiting:
    """A video whose chunks nobody waits for."""

    storage: Storage
    video_id: str
    pending: Pending

    @property
    def results(self) -> ResultKeys:
        return VideoKeys(self.video_id).plan(self.pending.plan).model(self.pending.model_id)

    @property
    def overdue(self) -> "Waiting":
        """The same, after its deadline."""
        return replace(self, pending=changed(self.pending, deadline=time.time() - 1))

    def submitted(self, chunk: int, failure_location: str | None) -> None:
        """A chunk has a receipt."""
        receipt = Receipt(
            inference_id="id",
            failure_location=failure_location,
            submitted_at=0,
            deadline=time.time() + 100,
            attempt=1,
        )
        write_record(self.storage, self.results.receipt(chunk), receipt)

    def why_run(self, failures: set[str] | None = None, *, lost: str = "") -> str | None:
        """Why the completion sensor would run it."""
        needed = self.needed_run(failures, lost=lost)
        return needed.why if needed else None

    def needed_run(
        self,
        failures: set[str] | None = None,
        *,
        lost: str = "",
        local_model: str | None = None,
        held: Callable[[str], Held | None] = lambda below: None,
    ) -> NeededRun | None:
        """What the completion sensor finds."""
        return needed_run(
            self.storage,
            self.video_id,
            self.pending,
            failures=failures or set(),
            why_lost=lambda endpoint: "gone" if endpoint == lost else None,
            local_model=lambda interpolator: local_model,
            held=held,
        )


@pytest.fixture
def waiting(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """A video of four chunks that were submitted."""
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    video_id, cut = drop_and_cut(folder)
    assert len(cut.active.plan.chunks) == CHUNKS
    pending = Pending(
        plan=cut.active.versions.plan,
        model_id=cut.active.versions.model_id,
        submitted_at=time.time(),
        deadline=time.time() + 100,
    )
    return Waiting(folder, video_id, pending)


def test_what_a_local_server_holds_is_never_overdue(waiting: Waiting) -> None:
    write_served(waiting.storage, "flow", SAME_HERE)
    held = Held("here", {"1": waiting.results.result(2)})
    for chunk in range(CHUNKS):
        waiting.submitted(chunk, None)

    assert waiting.overdue.needed_run(held=lambda below: held) is None


def test_what_no_local_server_holds_any_more_needs_a_run(waiting: Waiting) -> None:
    write_served(waiting.storage, "flow", SAME_HERE)
    waiting.submitted(0, None)
    another = Held("here", {"1": "videos/another/results/00000.tar"})

    needed = waiting.needed_run(held=lambda below: another)
    assert needed == NeededRun("forgotten, fade-1 of None")


FOREIGN = {f"failures/{number}" for number in range(9)}


@pytest.mark.parametrize(
    ("chunks", "ended"),
    [
        ("done done done done", True),
        ("done done done failed", True),
        ("failed failed failed failed", True),
        ("done done done under-way", False),
        ("failed failed failed under-way", False),
        ("under-way under-way under-way under-way", False),
        ("done missing missing missing", True),
        ("missing missing missing missing", True),
        ("done under-way missing missing", False),
        ("done failed missing missing", True),
        ("done done done told-nowhere", False),
    ],
)
@pytest.mark.parametrize("others", [set(), FOREIGN], ids=["alone", "beside failures of others"])
def test_a_run_is_needed_when_nothing_is_under_way(
    waiting: Waiting, chunks: str, others: set[str], ended: bool
) -> None:
    failures = set(others)
    for chunk, state in enumerate(chunks.split()):
        key = f"failures/{waiting.video_id}-{chunk}"
        if state != "missing":
            waiting.submitted(chunk, None if state == "told-nowhere" else waiting.storage.uri(key))
        if state == "done":
            waiting.storage.write(waiting.results.result(chunk), b"result")
        if state == "failed":
            failures.add(key)

    assert waiting.why_run(failures) == (f"ended, {waiting.pending.model_id} of None" if ended else None)


def test_a_run_is_needed_after_the_deadline(waiting: Waiting) -> None:
    waiting.submitted(0, None)

    assert waiting.why_run() is None
    assert waiting.overdue.why_run() == f"overdue, {waiting.pending.model_id} of None"


def test_a_run_is_needed_when_its_plan_was_cleaned_away(folder: Storage) -> None:
    pending = Pending(plan="0" * 16, model_id="fade-1", submitted_at=0, deadline=time.time() + 100)

    assert Waiting(folder, "clip-12345678", pending).why_run() == "ended, no endpoint"


def test_a_run_is_needed_for_every_change_of_the_endpoint(waiting: Waiting) -> None:
    waiting.submitted(0, None)
    reasons = []
    for record in (FIRST, changed(FIRST, deployed_at=4e9), changed(FIRST, deployed_at=5e9)):
        write_served(waiting.storage, "flow", record)
        reasons.append(waiting.why_run())
    write_served(waiting.storage, "flow", changed(FIRST, model_id="fade-2"))
    reasons.append(waiting.why_run())
    forget_served(waiting.storage, "flow")
    reasons.append(waiting.why_run())

    assert reasons == [
        None,
        "another endpoint, fade-1 of 4000000000.0",
        "another endpoint, fade-1 of 5000000000.0",
        "another endpoint, fade-2 of 1.0",
        "no endpoint",
    ]


def test_a_lost_endpoint_is_one_reason_however_it_was_lost_and_however_long_ago(waiting: Waiting) -> None:
    waiting.submitted(0, None)
    write_served(waiting.storage, "flow", FIRST)
    assert waiting.why_run(lost="slowmo-other") is None
    reasons = {waiting.why_run(lost="slowmo-flow"), waiting.overdue.why_run(lost="slowmo-flow")}
    forget_served(waiting.storage, "flow")
    reasons |= {waiting.why_run(), waiting.overdue.why_run()}

    assert reasons == {"no endpoint"}


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "overdue"])
def test_whatever_failed_for_want_of_an_endpoint_is_run_again_with_the_next(waiting: Waiting, ended: bool) -> None:
    if not ended:
        waiting = waiting.overdue
        waiting.submitted(0, None)
    reasons = []
    for record in (FIRST, changed(FIRST, deployed_at=4e9)):
        write_served(waiting.storage, "flow", record)
        reasons.append(waiting.why_run())

    assert None not in reasons
    assert len(set(reasons)) == 2


NEXT = changed(FIRST, model_id="fade-2")
LOCAL = EndpointRecord(model_id="fade-2", max_body_bytes=10**6)
CHANGE = NeededRun("another endpoint, fade-2 of 1.0", change_to="fade-2")
CHANGE_OF_ENDED = NeededRun("ended, fade-2 of 1.0", change_to="fade-2")
ENDED = NeededRun("ended, fade-2 of 1.0")


@pytest.mark.parametrize(
    ("results", "failed", "needed"),
    [
        (0, 0, CHANGE),
        (1, 0, CHANGE),
        (CHUNKS - 1, 0, CHANGE),
        (CHUNKS - 1, 1, CHANGE_OF_ENDED),
        (CHUNKS, 0, ENDED),
    ],
)
def test_a_replaced_model_finishes_what_it_has_done_and_the_next_makes_the_rest(
    waiting: Waiting, results: int, failed: int, needed: NeededRun
) -> None:
    for chunk in range(CHUNKS):
        waiting.submitted(chunk, waiting.storage.uri(f"failures/{chunk}"))
    for chunk in range(results):
        waiting.storage.write(waiting.results.result(chunk), b"result")
    write_served(waiting.storage, "flow", NEXT)

    assert waiting.needed_run({f"failures/{CHUNKS - 1}"} if failed else set()) == needed


@pytest.mark.parametrize("submitted", [0, CHUNKS], ids=["ended", "under way"])
def test_a_change_has_another_reason_once_its_chunks_are_overdue(waiting: Waiting, submitted: int) -> None:
    for chunk in range(submitted):
        waiting.submitted(chunk, None)
    write_served(waiting.storage, "flow", NEXT)
    before, after = waiting.needed_run(), waiting.overdue.needed_run()

    assert before == (CHANGE if submitted else CHANGE_OF_ENDED)
    assert after == NeededRun("overdue, fade-2 of 1.0", change_to="fade-2")


def test_what_was_overdue_before_the_deploy_is_given_the_same_time_again(waiting: Waiting) -> None:
    hour, now = 3600, time.time()
    waited = changed(waiting.pending, submitted_at=now - 9 * hour, deadline=now - 2 * hour)
    waiting.submitted(0, None)
    reasons = []
    for ago in (1, 6, 8):
        write_served(waiting.storage, "flow", changed(NEXT, deployed_at=now - ago * hour))
        needed = replace(waiting, pending=waited).needed_run()
        reasons.append(needed and needed.why.partition(",")[0])

    assert reasons == ["another endpoint", "another endpoint", "overdue"]


def test_what_is_finished_is_not_changed_although_its_results_are_gone(waiting: Waiting) -> None:
    finish(waiting.storage, waiting.video_id)
    write_served(waiting.storage, "flow", NEXT)

    assert waiting.needed_run() == ENDED


def test_no_video_is_changed_to_a_model_twice(waiting: Waiting) -> None:
    waiting.submitted(0, None)
    write_served(waiting.storage, "flow", NEXT)
    again = replace(waiting, pending=changed(waiting.pending, changed_to=("fade-2", "fade-1")))

    assert again.needed_run() == NeededRun("another endpoint, fade-2 of 1.0"), "a run that tells so"


@pytest.mark.parametrize(("here", "needed"), [("fade-2", "fade-2"), ("fade-1", None), (None, None)])
def test_a_video_is_changed_to_a_local_model_only_where_that_runs(
    waiting: Waiting, here: str | None, needed: str | None
) -> None:
    waiting.submitted(0, None)
    write_served(waiting.storage, "flow", LOCAL)
    found = waiting.needed_run(local_model=here)

    assert (found and found.change_to) == needed


def test_a_marker_of_before_can_be_changed(waiting: Waiting) -> None:
    write_json(
        waiting.storage,
        VideoKeys(waiting.video_id).pending,
        {"plan": waiting.pending.plan, "model_id": "fade-1", "submitted_at": 1.0, "deadline": 4e9},
    )
    write_served(waiting.storage, "flow", NEXT)
    marker = read_pending(waiting.storage, waiting.video_id)
    assert marker

    assert replace(waiting, pending=marker).needed_run() == CHANGE_OF_ENDED
