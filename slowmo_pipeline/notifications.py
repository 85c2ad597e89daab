"""Telling the operator: one message to an SNS topic for each video that is finished or has failed for good.

Nothing waits for a message and nothing hangs on one. A message may come twice; it carries the same id then.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from slowmo_pipeline.errors import NotificationError

MAX_SUBJECT = 100
"""ASCII characters that SNS allows."""

MAX_REASON = 4000
"""Characters of a reason; SNS takes 256 KB in all."""


@dataclass(frozen=True)
class Notice:
    """What the operator hears of one video."""

    id: str
    """The same whenever the same thing is told again."""
    video_id: str
    state: Literal["finished", "failed"]
    run_id: str
    """The Dagster run that brought it to this state."""
    run_url: str | None = None
    video: str | None = None
    """Where the final video lies: `s3://…`, or a path."""
    report: str | None = None
    """Where its report lies, likewise."""
    notes: tuple[str, ...] = ()
    """What is unusual about the final video: that it lost its sound, say."""
    reason: str | None = None
    """Why it failed."""

    @property
    def subject(self) -> str:
        """One line, as SNS allows it."""
        return re.sub(r"[^ -~]", "?", f"Slow motion {self.state}: {self.video_id}")[:MAX_SUBJECT]

    @property
    def text(self) -> str:
        """The message for people."""
        told = [
            ("Reason", self.reason),
            *(("Note", note) for note in self.notes),
            ("Video", self.video),
            ("", console_url(self.video)),
            ("Report", self.report),
            ("", console_url(self.report)),
            ("Run", self.run_url or self.run_id),
        ]
        lines = [f"{name:<8}{value}" for name, value in told if value]
        return "\n".join([f"The slow-motion video {self.video_id} has {_VERBS[self.state]}.", "", *lines])

    def to_json(self) -> dict[str, object]:
        """The message for programs; what is not known is left out."""
        told: Mapping[str, object] = {
            "id": self.id,
            "video_id": self.video_id,
            "state": self.state,
            "reason": self.reason,
            "notes": list(self.notes),
            "video": self.video,
            "video_url": console_url(self.video),
            "report": self.report,
            "report_url": console_url(self.report),
            "run_id": self.run_id,
            "run_url": self.run_url,
            "text": self.text,
        }
        return {name: value for name, value in told.items() if value}


_VERBS = {"finished": "been finished", "failed": "failed"}


def notify(topic_arn: str, notice: Notice) -> None:
    """Publish a notice: mail gets its text, every other subscription its JSON.

    The attribute `state` lets a subscription filter. Raises NotificationError when the message cannot be sent.
    """
    # boto3 takes 0.3 s to import, and most installations tell nobody.
    from botocore.config import Config

    from slowmo_pipeline.storage.aws_client import aws_client
    from slowmo_pipeline.storage.aws_errors import AWS_ERRORS, sorted_out
    from slowmo_pipeline.storage.patience import AWS_LOOK

    arn = topic_arn.split(":")
    if len(arn) != 6 or arn[:1] + arn[2:3] != ["arn", "sns"]:
        raise NotificationError(
            f"SLOWMO_OPERATOR_TOPIC = {topic_arn} is no topic: give arn:aws:sns:REGION:ACCOUNT:NAME."
        )
    try:
        aws_client("sns", region_name=arn[3], config=Config(**AWS_LOOK)).publish(
            TopicArn=topic_arn,
            Subject=notice.subject,
            Message=json.dumps({"default": json.dumps(notice.to_json()), "email": notice.text}),
            MessageStructure="json",
            MessageAttributes={"state": {"DataType": "String", "StringValue": notice.state}},
        )
    except AWS_ERRORS as error:
        told = sorted_out(error).sentence(
            f"the topic {topic_arn}", refused=f"the topic {topic_arn} refused a request", grant="let them sns:Publish"
        )
        raise NotificationError(f"SLOWMO_OPERATOR_TOPIC cannot be told of {notice.video_id}: {told}") from error


def console_url(location: str | None) -> str | None:
    """The page of an S3 object in the AWS console; None for whatever lies elsewhere."""
    parts = urlsplit(location or "")
    if parts.scheme != "s3":
        return None
    key = str(location).removeprefix(f"s3://{parts.netloc}/")
    return f"https://console.aws.amazon.com/s3/object/{parts.netloc}?prefix={quote(key)}"
