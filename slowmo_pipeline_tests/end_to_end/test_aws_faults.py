"""What an asynchronous endpoint and S3 can do to a video: nothing is lost, nothing computed twice without need.

Real requests over HTTP: to this project's endpoint server under the name of a SageMaker endpoint, and to moto's S3.
"""

import json
import time
import types
import uuid
from collections.abc import Callable, Iterator

import pytest

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.endpoint import client as endpoint
from slowmo_pipeline.endpoint.client import AsyncEndpoint
from slowmo_pipeline.endpoint.record import EndpointRecord, forget_served, write_served
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError, InterpolationFailedError, StorageError
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.interpolate import Interpolated
from slowmo_pipeline.storage.keys import FAILURES
from slowmo_pipeline_tests.support import interpolators
from slowmo_pipeline_tests.support.aws_stage import Held, Stage, aws_stage, fail, fail_besides, swallow
from slowmo_pipeline_tests.support.aws_video import CHUNKS, ENDPOINT, FOUND, Video, chunk_of
from slowmo_pipeline_tests.support.fault_proxy import (
    Asked,
    Fault,
    Forward,
    Told,
    drop,
    drop_answer,
    late,
    refuse,
    refuse_as_s3,
    twice,
)
from slowmo_pipeline_tests.support.local_server import LocalServer, eventually
from slowmo_pipeline_tests.support.sagemaker_server import IMAGE, ROLE
from slowmo_pipeline_tests.support.videos import drop as upload
from slowmo_pipeline_tests.support.videos import quiet

ENDED, OVERDUE = "ended, fade-1 of None", "overdue, fade-1 of None"

THROTTLED = refuse(400, "ThrottlingException", "Rate exceeded")
EXPIRED = refuse(403, "ExpiredTokenException", "The security token included in the request is expired")
DENIED = refuse(403, "AccessDeniedException", "User: arn:x is not authorized to perform: sagemaker:InvokeEndpointAsync")
DELETED = refuse(400, "ValidationError", f"Endpoint {ENDPOINT} of account 123456789012 not found.")
INVALID = refuse(400, "ValidationError", "1 validation error detected: InputLocation")
BROKEN = refuse(500, "InternalFailure")
UNAVAILABLE = refuse(503, "ServiceUnavailable")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with aws_stage() as stage:
        # Started past the proxy: what the proxy sees of S3 is the pipeline's.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", stage.aws.target)
            folder = tmp_path_factory.mktemp("runtime") / "state"
            serves = f"--endpoint={ENDPOINT}={interpolators.__name__}:Fade"
            server = LocalServer(folder, stage.storage("videos"), serves, "--open")
        stage.runtime.target = server.url
        sagemaker = Aws().sagemaker
        sagemaker.create_model(ModelName=ENDPOINT, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
        sagemaker.create_endpoint_config(
            EndpointConfigName=ENDPOINT,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": ENDPOINT,
                    "InstanceType": "ml.g5.xlarge",
                    "InitialInstanceCount": 1,
                    "InitialVariantWeight": 1,
                }
            ],
        )
        sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT)
        with server:
            yield stage


def chunk(number: int) -> Callable[[Asked], bool]:
    """Requests for this chunk are meant."""
    return lambda asked: chunk_of(asked) == number


def failure(code: int, message: str = "no") -> bytes:
    return json.dumps({"code": code, "error": "Error", "message": message}).encode()


@pytest.fixture
def video(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Video:
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)
    monkeypatch.setattr(AsyncEndpoint, "poll_seconds", 0.05)
    # Pauses of botocore's retries, and between them: the order of things is tested, not the patience.
    unhurried = types.SimpleNamespace(sleep=lambda seconds: None, time=time.time)
    monkeypatch.setattr("botocore.endpoint.time", unhurried)
    monkeypatch.setattr("slowmo_pipeline.steps.interpolate.BUSY_PAUSE_SECONDS", 0)
    storage = stage.storage("videos")
    video_id = upload(storage, key=f"uploads/{uuid.uuid4()}.mp4")
    write_served(storage, "flow", FOUND)
    inspect_upload(storage, video_id, chosen={}, progress=quiet)
    assert len(cut(storage, video_id, progress=quiet).active.plan.chunks) == CHUNKS
    stage.aws.forget()
    stage.runtime.forget()
    return Video(stage, storage, video_id)


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.steps.interpolate.BUSY_SECONDS", -1)


def test_without_faults_every_chunk_is_computed_once(video: Video) -> None:
    assert video.interpolate() == Interpolated(complete=True, submitted=4, chunks=4)
    assert video.computed == [0, 1, 2, 3]
    assert video.results_are_right()


@pytest.mark.parametrize(
    "fault", [THROTTLED, BROKEN, UNAVAILABLE, drop], ids=["throttled", "500", "503", "connection dropped"]
)
@pytest.mark.parametrize("times", [2, 7], ids=["a little", "longer than one request is tried"])
def test_trouble_that_passes_is_sat_out(video: Video, fault: Fault, times: int) -> None:
    video.runtime.inject(fault, times=times)
    video.interpolate()

    assert video.computed == [0, 1, 2, 3]
    assert video.results_are_right()


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("fault", [THROTTLED, BROKEN, drop], ids=["throttled", "500", "connection dropped"])
@pytest.mark.parametrize("wait", [True, False])
def test_trouble_that_stays_ends_the_run_and_the_next_goes_on(video: Video, fault: Fault, wait: bool) -> None:
    video.runtime.inject(fault, times=99, meant=chunk(2))
    with pytest.raises(
        EndpointUnreachableError, match=f"The endpoint {ENDPOINT} (is busy or broken: run again|cannot be reached)"
    ):
        video.interpolate(wait=wait)
    assert video.computed == [0, 1]
    video.runtime.heal()
    video.interpolate()

    assert video.computed == [0, 1, 2, 3]
    assert video.results_are_right()


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (EXPIRED, r"ExpiredTokenException\): sign in again"),
        (DENIED, r"policy of deploy/cloudformation\.yaml\. It says: User: arn:x is not authorized"),
        (DELETED, r"There is no endpoint slowmo-flow: deploy it with `slowmo endpoint deploy`, then run again"),
        (INVALID, "refused videos/.*: 1 validation error detected"),
    ],
    ids=["expired", "denied", "deleted", "invalid"],
)
def test_refusal_is_told_at_once_with_the_next_step(video: Video, fault: Fault, advice: str) -> None:
    video.runtime.inject(fault, meant=chunk(2))
    with pytest.raises(EndpointError, match=advice):
        video.interpolate()
    assert video.submitted == [0, 1, 2]

    video.interpolate()
    assert video.computed == [0, 1, 2, 3]


def test_lost_answer_costs_one_more_inference(video: Video) -> None:
    """The client cannot know that the request was accepted."""
    video.runtime.inject(drop_answer, meant=chunk(1))
    video.interpolate()

    assert sorted(video.computed) == [0, 1, 1, 2, 3]
    assert video.results_are_right()


def test_request_that_runs_twice_does_no_harm(video: Video) -> None:
    video.runtime.inject(twice, times=CHUNKS)

    assert video.interpolate() == Interpolated(complete=True, submitted=4, chunks=4)
    assert video.results_are_right()


def test_late_answer_is_waited_for(video: Video) -> None:
    video.runtime.inject(late(0.5))
    video.interpolate()

    assert video.submitted == video.computed == [0, 1, 2, 3]


def test_request_of_which_nothing_is_heard_is_sent_again_after_its_deadline(video: Video) -> None:
    video.runtime.inject(swallow(video.storage), meant=chunk(1))
    video.interpolate(wait=False)
    video.wait_for_results(CHUNKS - 1)
    video.expire()

    assert video.interpolate().complete
    assert video.submitted == [0, 1, 2, 3, 1]
    assert video.results_are_right()


def test_silence_comes_to_an_end(video: Video) -> None:
    video.runtime.inject(swallow(video.storage), times=99, meant=chunk(1))
    for _ in range(2):
        video.interpolate(wait=False, max_attempts=2)
        video.wait_for_results(CHUNKS - 1)
        video.expire()
    with pytest.raises(
        InterpolationFailedError, match=r"1 of 4 chunks .* after attempt 2: neither a result nor a fail"
    ):
        video.interpolate(max_attempts=2)

    assert sorted(video.submitted) == [0, 1, 1, 2, 3]


def test_silence_is_noticed_by_the_completion_sensor(video: Video) -> None:
    video.runtime.inject(swallow(video.storage), meant=chunk(1))
    video.interpolate(wait=False)
    assert video.why_run is None
    video.expire()

    assert video.why_run == OVERDUE
    assert video.interpolate().complete


def test_bad_chunk_is_not_tried_again_and_the_others_are_kept(video: Video) -> None:
    video.runtime.inject(fail(video.storage, failure(400, "config.json: no")), meant=chunk(1))
    with pytest.raises(InterpolationFailedError, match=r"Chunk 1, after attempt 1: config.json: no\."):
        video.interpolate()
    video.wait_for_results(CHUNKS - 1)
    assert video.submitted == [0, 1, 2, 3]

    video.interpolate()
    assert video.computed == [0, 2, 3, 1]
    assert video.results_are_right()


@pytest.mark.parametrize(
    "body",
    [failure(500), failure(507, "out of memory"), b"<html>502 Bad Gateway</html>", b"", b"\xff\x00", b"Killed"],
    ids=["500", "507", "html", "empty", "no text", "words"],
)
def test_failure_of_the_machine_is_tried_again(video: Video, body: bytes) -> None:
    video.runtime.inject(fail(video.storage, body), times=2, meant=chunk(1))
    video.interpolate(max_attempts=3)

    assert sorted(video.submitted) == [0, 1, 1, 1, 2, 3]
    assert sorted(video.computed) == [0, 1, 2, 3]
    assert [entry.key for entry in video.storage.list(FAILURES)] == []
    assert video.results_are_right()


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_failures_of_the_machine_come_to_an_end(video: Video, max_attempts: int) -> None:
    video.runtime.inject(fail(video.storage, b"CUDA error"), times=99, meant=chunk(1))
    with pytest.raises(InterpolationFailedError, match=f"after attempt {max_attempts}: CUDA error"):
        video.interpolate(max_attempts=max_attempts)

    assert video.submitted.count(1) == max_attempts


def test_result_of_an_attempt_that_was_given_up_counts(video: Video) -> None:
    held = Held(video.storage, video.runtime)
    video.runtime.inject(fail(video.storage, failure(500)), meant=chunk(1))
    video.runtime.inject(held, meant=chunk(1))
    video.interpolate(wait=False)
    eventually(lambda: video.why_run == ENDED)
    video.interpolate(wait=False)
    assert (video.submitted, len(held.requests)) == ([0, 1, 2, 3, 1], 1)

    first = next(asked for asked in video.runtime.asked if chunk_of(asked) == 1)
    video.runtime.forward(first)
    assert video.interpolate() == Interpolated(complete=True, submitted=0, chunks=4)

    held.release(0)  # and the second result changes nothing
    eventually(video.results_are_right)


def test_failure_beside_a_result_is_nobodys(video: Video) -> None:
    """One of two runs of the same request failed."""
    video.runtime.inject(fail_besides(video.storage, failure(400)), times=CHUNKS)
    eventually(lambda: video.interpolate(wait=False).submitted == CHUNKS)
    video.wait_for_results(CHUNKS)

    assert video.why_run == ENDED
    assert video.interpolate() == Interpolated(complete=True, submitted=0, chunks=4)
    assert video.computed == [0, 1, 2, 3]


def test_results_may_come_in_any_order(video: Video) -> None:
    held = Held(video.storage, video.runtime)
    video.runtime.inject(held, times=CHUNKS)
    video.interpolate(wait=False)
    assert video.why_run is None
    held.release(2, 0, 3, 1)

    assert video.interpolate() == Interpolated(complete=True, submitted=0, chunks=4)
    assert video.computed == [2, 0, 3, 1]
    assert video.results_are_right()


def test_endpoint_deleted_under_the_chunks_is_told_and_they_go_to_the_next(video: Video) -> None:
    video.runtime.inject(swallow(video.storage), times=CHUNKS)
    video.interpolate(wait=False)
    forget_served(video.storage, "flow")
    assert video.why_run == "no endpoint"
    with pytest.raises(EndpointError, match=r"No endpoint named 'flow' .* deploy one with `slowmo endpoint deploy`"):
        video.interpolate()

    deployed_at = time.time()
    write_served(video.storage, "flow", EndpointRecord(**{**vars(FOUND), "deployed_at": deployed_at}))
    assert video.why_run == f"another endpoint, fade-1 of {deployed_at}", (
        "another reason than before, or the sensor starts no run"
    )
    assert video.interpolate() == Interpolated(complete=True, submitted=4, chunks=4)
    assert video.computed == [0, 1, 2, 3]


GONE = refuse(400, "ValidationException", f'Could not find endpoint "{ENDPOINT}".')


def failed(asked: Asked, forward: Forward) -> Told:
    """The endpoint could not be made."""
    told = forward(asked)
    found = {**json.loads(told.body), "EndpointStatus": "Failed", "FailureReason": "No capacity."}
    return Told(told.status, {}, json.dumps(found).encode())


def is_description(asked: Asked) -> bool:
    """The question whether an endpoint is there."""
    return asked.headers.get("x-amz-target", "").endswith(".DescribeEndpoint")


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (GONE, r"no endpoint slowmo-flow any more, and its queue is gone with it: deploy it with `slowmo endpoint de"),
        (failed, r"slowmo-flow has failed \(No capacity\): deploy it with `slowmo endpoint deploy`, then run again"),
    ],
)
@pytest.mark.parametrize("wait", [True, False])
def test_endpoint_lost_behind_the_pipelines_back_is_told(video: Video, fault: Fault, advice: str, wait: bool) -> None:
    """Its record is still there: somebody used the console."""
    video.runtime.inject(swallow(video.storage), times=CHUNKS)
    video.interpolate(wait=False)
    assert video.why_run is None
    video.stage.aws.inject(fault, times=99, meant=is_description)
    assert video.why_run == "no endpoint"
    with pytest.raises(EndpointError, match=advice):
        video.interpolate(wait=wait)

    video.stage.aws.forget()
    write_served(video.storage, "flow", EndpointRecord(**{**vars(FOUND), "deployed_at": time.time()}))
    assert video.interpolate() == Interpolated(complete=True, submitted=4, chunks=4)


@pytest.mark.parametrize(
    "fault", [THROTTLED, BROKEN, drop, DENIED], ids=["throttled", "500", "connection dropped", "denied"]
)
def test_waiting_goes_on_when_sagemaker_does_not_tell(
    video: Video, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(video.storage, video.runtime)
    video.runtime.inject(held, times=CHUNKS)
    video.interpolate(wait=False)
    video.stage.aws.inject(fault, times=99, meant=is_description)
    check_hosted = AsyncEndpoint.check_alive

    def check_and_release(asked: AsyncEndpoint) -> None:
        check_hosted(asked)
        held.release(0, 1, 2, 3)
        video.stage.aws.forget()

    monkeypatch.setattr(AsyncEndpoint, "check_alive", check_and_release)
    assert video.interpolate() == Interpolated(complete=True, submitted=0, chunks=4)


def test_sagemaker_is_asked_for_its_endpoint_now_and_then(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    for pause, questions in ((1000, 1), (0, 5)):
        monkeypatch.setattr(endpoint, "HOSTED_POLL_SECONDS", pause)
        video.stage.aws.forget()
        found = AsyncEndpoint(ENDPOINT, video.storage, url=None)
        for _ in range(5):
            found.check_alive()
        assert sum(map(is_description, video.stage.aws.asked)) == questions


def test_endpoint_that_was_updated_in_place_keeps_its_queue(video: Video) -> None:
    held = Held(video.storage, video.runtime)
    write_served(video.storage, "flow", EndpointRecord(**{**vars(FOUND), "deployed_at": time.time()}))
    video.runtime.inject(held, times=CHUNKS)
    video.interpolate(wait=False)
    write_served(video.storage, "flow", EndpointRecord(**{**vars(FOUND), "deployed_at": time.time() - 60}))
    assert video.why_run is None
    held.release(0, 1, 2, 3)

    assert video.interpolate().submitted == 0


@pytest.mark.parametrize("fault", [refuse_as_s3(503, "SlowDown"), drop, drop_answer], ids=["503", "drop", "no answer"])
def test_busy_bucket_costs_nothing_but_time(video: Video, fault: Fault) -> None:
    video.stage.aws.inject(fault, times=3)
    video.interpolate()

    assert video.computed == [0, 1, 2, 3]
    assert video.results_are_right()


def test_credentials_that_end_while_waiting_lose_nothing(video: Video) -> None:
    held = Held(video.storage, video.runtime)
    video.runtime.inject(held, times=CHUNKS)
    video.interpolate(wait=False)
    video.stage.aws.inject(refuse_as_s3(400, "ExpiredToken"), meant=lambda asked: "list-type" in asked.path)
    with pytest.raises(StorageError, match=r"\(ExpiredToken\): sign in again"):
        video.interpolate()
    held.release(0, 1, 2, 3)

    assert video.interpolate() == Interpolated(complete=True, submitted=0, chunks=4)


def test_receipt_that_was_not_written_costs_one_more_inference(video: Video) -> None:
    def is_receipt(asked: Asked) -> bool:
        return asked.method == "PUT" and "/receipts/00001" in asked.path

    video.stage.aws.inject(refuse_as_s3(403, "AccessDenied"), meant=is_receipt)
    with pytest.raises(StorageError, match=r"policy of deploy/cloudformation\.yaml"):
        video.interpolate(wait=False)
    video.interpolate()

    assert sorted(video.computed) in ([0, 1, 2, 3], [0, 1, 1, 2, 3])  # its result may be there before the next look
    assert video.results_are_right()


def listings(asked: list[Asked]) -> list[str]:
    """What was listed, in order, below the storage's root."""
    return [one.path.partition("prefix=videos%2F")[2] for one in asked if "list-type=2" in one.path]


def test_finishing_run_reads_no_receipt_and_lists_once(video: Video) -> None:
    video.interpolate(wait=False)
    video.wait_for_results(CHUNKS)
    video.stage.aws.forget()
    video.interpolate(wait=False)

    assert len(listings(video.stage.aws.asked)) == 1
    assert not [one for one in video.stage.aws.asked if "receipts" in one.path and "list-type" not in one.path]


def test_look_with_news_is_one_request(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(video.storage, video.runtime)
    video.runtime.inject(held, times=CHUNKS)
    video.interpolate(wait=False)
    looks: list[list[Asked]] = []

    def pause(endpoint: AsyncEndpoint) -> float:
        """Between two looks one more result comes."""
        looks.append([*video.stage.aws.asked])
        held.release(len(looks) - 1)
        video.wait_for_results(len(looks))
        video.stage.aws.forget()
        return 0

    monkeypatch.setattr(AsyncEndpoint, "poll_seconds", property(pause))
    video.interpolate()

    # Of all looks together one asks SageMaker for the endpoint.
    assert [sum(not is_description(one) for one in asked) for asked in looks[1:]] == [1] * (CHUNKS - 1)
    assert all(listings(asked) for asked in looks)


def test_completion_sensor_lists_once_for_each_video(video: Video) -> None:
    video.runtime.inject(swallow(video.storage), times=CHUNKS)
    video.interpolate(wait=False)
    video.stage.aws.forget()
    assert video.why_run is None

    failures, results = listings(video.stage.aws.asked)
    assert (failures[:9], results[:7]) == ("failures%", "videos%")
    others = [one for one in video.stage.aws.asked if one.method == "GET" and "/receipts/" not in one.path]
    assert len(others) == 5, "beside the listings the marker, what is in force, and the endpoint's record"
    assert sum(map(is_description, video.stage.aws.asked)) == 1, "and SageMaker for the endpoint"
