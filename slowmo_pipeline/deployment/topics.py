"""The SNS topics of a deployment's own, for those that its settings do not name."""

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.reporting import Report
from slowmo_pipeline.deployment.settings import DeploymentSettings
from slowmo_pipeline.errors import EndpointError


def ensure_topics(aws: Aws, names: Names, settings: DeploymentSettings, told: Report) -> tuple[str, str]:
    """The ARNs of the topics for successes and for errors, made where none is given.

    Raises EndpointError when a topic of that name is somebody else's.
    """
    success, error = names.topics
    return (
        settings.success_topic or _ensure(aws, names, success, told),
        settings.error_topic or _ensure(aws, names, error, told),
    )


def delete_topics(aws: Aws, names: Names, told: Report, *, keep: tuple[str, ...] = ()) -> None:
    """Delete the deployment's topics, but those whose ARNs are to be kept."""
    for name in names.topics:
        arn = aws.topic_arn(name)
        if arn not in keep and _is_ours(aws, names, arn):
            aws.sns.delete_topic(TopicArn=arn)
            told(f"deleted topic {name}")


def _ensure(aws: Aws, names: Names, name: str, told: Report) -> str:
    arn = aws.topic_arn(name)
    ours = _is_ours(aws, names, arn)
    if ours is None:
        arn = aws.sns.create_topic(Name=name, Tags=[names.tag])["TopicArn"]
        told(f"created topic {name}")
    elif not ours:
        raise EndpointError(
            f"There is a topic {arn} that is not of the deployment {names.deployment}. Give it as success_topic or "
            "error_topic, or choose another name for the deployment."
        )
    return arn


def _is_ours(aws: Aws, names: Names, arn: str) -> bool | None:
    """Whether a topic carries the deployment's tag; None when there is no topic."""
    try:
        return names.tag in aws.sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
    except aws.sns.exceptions.ResourceNotFoundException:
        return None
