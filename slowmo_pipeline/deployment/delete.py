"""Deleting: everything that a deployment made, found by its names and its tag, also after half a deploy."""

from slowmo_pipeline.deployment.aws import Aws, errors_as_endpoint_error
from slowmo_pipeline.deployment.hosting import POLL_SECONDS, Hosting, describe_ours
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.reporting import Report
from slowmo_pipeline.deployment.scaling import remove_scaling
from slowmo_pipeline.deployment.storage_objects import delete_packages, forget_records, require_bucket
from slowmo_pipeline.deployment.topics import delete_topics
from slowmo_pipeline.deployment.unscaled import told_if_unscaled
from slowmo_pipeline.deployment.versions import delete_versions
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.storage.base import Storage


def delete(
    storage: Storage, name: str, *, told: Report, progress: Progress, poll_seconds: float = POLL_SECONDS
) -> None:
    """Delete the deployment of that name, and wait until it is gone; `told` hears of everything that was removed.

    What is gone already is no error. Requests that wait at the endpoint go with it: the pipeline sends them again.
    Raises StorageError, and EndpointError when AWS refuses something or the endpoint is not of this deployment.
    Whatever ends it, an interrupt included, tells of an endpoint that it leaves without scaling.
    """
    require_bucket(storage)
    aws, names = Aws(), Names(name)
    with errors_as_endpoint_error():
        describe_ours(aws, names)
    with told_if_unscaled(names), errors_as_endpoint_error():
        remove_scaling(aws, names, told)
        if Hosting(aws, names, progress=progress, poll_seconds=poll_seconds).delete():
            told(f"deleted endpoint {names.endpoint}")
        delete_versions(aws, names, told)
        delete_topics(aws, names, told)
        # Last: what costs money goes even if the bucket has gone before.
        forget_records(storage, names, told)
        delete_packages(storage, names, told)
