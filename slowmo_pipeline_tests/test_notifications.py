"""What reaches the operator, over HTTP and a real subscription."""

import json

import pytest

from slowmo_pipeline.errors import NotificationError
from slowmo_pipeline.notifications import MAX_SUBJECT, Notice, console_url, notify
from slowmo_pipeline_tests.support.operator_topic import OperatorTopic, make_topic

FINISHED = Notice(
    id="clip-1:finished:abc",
    video_id="clip-1",
    state="finished",
    run_id="run-1",
    run_url="https://dagster.example/runs/run-1",
    video="s3://media/slow motion/final/clip-1.mp4",
    report="s3://media/slow motion/final/clip-1.html",
    notes=("The result has no sound: it is broken",),
)
FAILED = Notice(id="clip-1:failed:run-1", video_id="clip-1", state="failed", run_id="run-1", reason="The disk is full.")


@pytest.fixture
def topic(s3_server: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> OperatorTopic:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    return make_topic()


def test_a_program_gets_json_with_links(topic: OperatorTopic) -> None:
    notify(topic.arn, FINISHED)
    [envelope] = topic.received()
    message = json.loads(envelope["Message"])
    assert {name: value for name, value in message.items() if name != "text"} == {
        "id": "clip-1:finished:abc",
        "video_id": "clip-1",
        "state": "finished",
        "notes": ["The result has no sound: it is broken"],
        "video": "s3://media/slow motion/final/clip-1.mp4",
        "video_url": "https://console.aws.amazon.com/s3/object/media?prefix=slow%20motion/final/clip-1.mp4",
        "report": "s3://media/slow motion/final/clip-1.html",
        "report_url": "https://console.aws.amazon.com/s3/object/media?prefix=slow%20motion/final/clip-1.html",
        "run_id": "run-1",
        "run_url": "https://dagster.example/runs/run-1",
    }
    assert envelope["Subject"] == "Slow motion finished: clip-1"
    assert envelope["MessageAttributes"]["state"]["Value"] == "finished"


def test_a_failure_tells_its_reason_and_no_video(topic: OperatorTopic) -> None:
    notify(topic.arn, FAILED)
    message = topic.told()[0]
    assert (message["state"], message["reason"]) == ("failed", "The disk is full.")
    assert "video" not in message


def test_people_read_a_few_lines() -> None:
    assert FAILED.text.splitlines() == [
        "The slow-motion video clip-1 has failed.",
        "",
        "Reason  The disk is full.",
        "Run     run-1",
    ]
    assert "Video   s3://media/slow motion/final/clip-1.mp4\n        https://console" in FINISHED.text


def test_a_subject_is_short_ascii_whatever_somebody_called_a_partition() -> None:
    subject = Notice(id="x", video_id="ü\n" + "x" * 200, state="failed", run_id="run-1").subject
    assert subject.startswith("Slow motion failed: ??xxx")
    assert len(subject) == MAX_SUBJECT


def test_only_an_object_of_s3_has_a_page_in_the_console() -> None:
    assert console_url("/data/final/clip-1.mp4") is None
    assert console_url("s3://media/a#b?c.mp4") == "https://console.aws.amazon.com/s3/object/media?prefix=a%23b%3Fc.mp4"


def test_the_topic_tells_its_region(topic: OperatorTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    notify(topic.arn, FINISHED)


@pytest.mark.usefixtures("topic")
def test_a_topic_that_is_gone_is_an_error_that_names_it() -> None:
    gone = "arn:aws:sns:us-east-1:123456789012:gone"
    with pytest.raises(
        NotificationError, match=f"cannot be told of clip-1: the topic {gone} refused a request: NotFound"
    ):
        notify(gone, FINISHED)


def test_nobody_answering_is_an_error(topic: OperatorTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(NotificationError, match=r"cannot be told of clip-1: .* cannot be reached: run again later"):
        notify(topic.arn, FINISHED)


@pytest.mark.parametrize(
    "topic_arn", ["operator", "arn:aws:sqs:us-east-1:1:q", "arn:aws:sns:us-east-1:1:t:subscription"]
)
def test_what_is_no_topic_is_refused(topic_arn: str) -> None:
    with pytest.raises(NotificationError, match="is no topic: give arn:aws:sns:REGION:ACCOUNT:NAME"):
        notify(topic_arn, FINISHED)
