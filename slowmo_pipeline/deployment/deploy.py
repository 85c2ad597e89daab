"""Deploying: what the settings say comes to be. What is already so is left alone.

    package ─► topics ─► model ─► endpoint configuration ─► endpoint ─► scaling ─► record ─► what it replaced goes

Every step looks first, so a deploy that was cut off anywhere goes on where it was when the same command runs again.
"""

from dataclasses import dataclass

from slowmo_pipeline.deployment.aws import Aws, errors_as_endpoint_error
from slowmo_pipeline.deployment.drivers import choose_ami
from slowmo_pipeline.deployment.hosting import POLL_SECONDS, Hosting, describe_ours, is_broken, running_instances
from slowmo_pipeline.deployment.image import djl_image
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.reporting import Report
from slowmo_pipeline.deployment.scaling import ensure_scaling, remove_scaling
from slowmo_pipeline.deployment.settings import DeploymentSettings
from slowmo_pipeline.deployment.storage_objects import (
    delete_packages,
    ensure_package,
    ensure_record,
    forget_records,
    require_bucket,
)
from slowmo_pipeline.deployment.topics import delete_topics, ensure_topics
from slowmo_pipeline.deployment.unscaled import told_if_unscaled
from slowmo_pipeline.deployment.versions import (
    config_content,
    delete_versions,
    ensure_config,
    ensure_model,
    model_content,
)
from slowmo_pipeline.endpoint.record import EndpointRecord
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.serving.container.package import packaged_model_id
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FAILURES


@dataclass(frozen=True)
class Deployed:
    """What runs once deploying is done."""

    endpoint: str
    model_id: str
    image_uri: str
    inference_ami_version: str | None
    """None: the instances have no GPU."""


def deploy(
    storage: Storage,
    settings: DeploymentSettings,
    *,
    told: Report,
    progress: Progress,
    poll_seconds: float = POLL_SECONDS,
) -> Deployed:
    """Make the deployment what the settings say, and wait until it runs; `told` hears of every change, or of none.

    Raises ModelError for a file that is no package, StorageError, SettingsError, and EndpointError when AWS refuses
    something, the endpoint fails, or something of that name is not of this deployment. Whatever ends it, an interrupt
    included, tells of an endpoint that it leaves without scaling.
    """
    require_bucket(storage)
    model_id = packaged_model_id(settings.package)
    aws, names = Aws(), Names(settings.name)
    endpoint = Hosting(aws, names, progress=progress, poll_seconds=poll_seconds)
    with errors_as_endpoint_error():
        describe_ours(aws, names)
    with told_if_unscaled(names), errors_as_endpoint_error():
        image = settings.image_uri or djl_image(aws.region)
        ami = choose_ami(aws, image, instance_type=settings.instance_type, given=settings.inference_ami_version)
        package = ensure_package(storage, names, settings.package, progress, told)
        topics = ensure_topics(aws, names, settings, told)
        content = model_content(settings, image=image, package=storage.uri(package))
        model = ensure_model(aws, names, content, told)
        content = config_content(
            settings,
            model=model,
            ami=ami,
            results=storage.url,
            failures=storage.uri(FAILURES.rstrip("/")),
            topics=topics,
        )
        config = ensure_config(aws, names, content, told)
        _start_endpoint(aws, names, endpoint, config, told)
        running = endpoint.settled()
        if running is not None and not is_broken(running):
            # Also when it went back to what it ran before: it is paid for, and must be able to fall asleep.
            ensure_scaling(aws, names, settings, told)
        running = endpoint.require_running(running, config)
        served = EndpointRecord(
            model_id=model_id,
            max_body_bytes=settings.max_body_bytes,
            sagemaker_endpoint=names.endpoint,
            instance_type=settings.instance_type,
            deployed_at=running["CreationTime"].timestamp(),
        )
        ensure_record(storage, settings.interpolator, served, told)
        forget_records(storage, names, told, keep=settings.interpolator)
        delete_versions(aws, names, told, keep=(config, model))
        delete_topics(aws, names, told, keep=topics)
        delete_packages(storage, names, told, keep=package)
    return Deployed(names.endpoint, model_id, image, ami)


def _start_endpoint(aws: Aws, names: Names, endpoint: Hosting, config: str, told: Report) -> None:
    """Start what makes the endpoint run the configuration, if it does not."""
    found = endpoint.settled()
    if found is not None and is_broken(found):
        remove_scaling(aws, names, told)
        endpoint.delete()
        told(f"deleted endpoint {names.endpoint}, which had failed")
        found = None
    if found is None:
        endpoint.create(config)
        told(f"created endpoint {names.endpoint}")
    elif found["EndpointConfigName"] != config:
        # SageMaker refuses to change the instance type of what scales, and blocks scaling during any change.
        remove_scaling(aws, names, told)
        endpoint.update(config, instances=running_instances(found))
        told(f"changing endpoint {names.endpoint} to {config}")
