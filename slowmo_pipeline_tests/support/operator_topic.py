"""An SNS topic of the operator's on the test server, and a queue that hears what it is told."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import boto3


@dataclass(frozen=True)
class OperatorTopic:
    """A topic with one subscription."""

    arn: str
    queue_url: str

    def received(self) -> list[dict[str, Any]]:
        """The envelopes that have come since the last look, in order; at most ten."""
        sqs = boto3.client("sqs")
        found = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    def told(self) -> list[dict[str, Any]]:
        """The messages in those envelopes."""
        return [json.loads(envelope["Message"]) for envelope in self.received()]


def make_topic() -> OperatorTopic:
    """A topic of the test's own; the environment says where AWS is."""
    name = f"operator-{uuid.uuid4()}"
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = OperatorTopic(sns.create_topic(Name=name)["TopicArn"], sqs.create_queue(QueueName=name)["QueueUrl"])
    queue = sqs.get_queue_attributes(QueueUrl=topic.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=queue)
    return topic
