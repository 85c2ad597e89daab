"""What a deployment keeps in the storage: its packages, and the record that tells the pipeline of it."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from slowmo_pipeline.deployment.names import PACKAGES, Names
from slowmo_pipeline.deployment.reporting import Report
from slowmo_pipeline.endpoint.record import EndpointRecord, forget_served, write_served
from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.hashing import file_sha256
from slowmo_pipeline.storage.json_records import read_if_whole
from slowmo_pipeline.storage.keys import ENDPOINTS, endpoint_key

_TORN = "Whose it is writes it anew."


def require_bucket(storage: Storage) -> None:
    """Raise StorageError for a storage that SageMaker cannot reach."""
    if not _is_bucket(storage):
        raise StorageError(
            f"An endpoint of SageMaker cannot reach the folder {storage.url}: set SLOWMO_STORAGE to s3://bucket/prefix."
        )


def ensure_package(storage: Storage, names: Names, package: Path, progress: Progress, told: Report) -> str:
    """Upload the package unless it is there; return its key."""
    key = names.package(file_sha256(package, progress))
    if storage.stat(key) is None:
        size = package.stat().st_size
        progress("upload", 0, size, "bytes")
        storage.upload(package, key)
        progress("upload", size, size, "bytes")
        told(f"uploaded {storage.uri(key)}")
    return key


def deployments(storage: Storage) -> list[str]:
    """Names of the deployments of this storage, those included of which a deploy was cut off.

    The package is there before anything else is made, and until everything else is gone. A folder has none: what
    `slowmo model fetch` keeps may lie there under the same prefix.
    """
    if not _is_bucket(storage):
        return []
    return sorted({entry.key.removeprefix(PACKAGES).partition("/")[0] for entry in storage.list(PACKAGES)})


def delete_packages(storage: Storage, names: Names, told: Report, *, keep: str | None = None) -> None:
    """Delete the deployment's packages but the one to keep."""
    for key in sorted(entry.key for entry in storage.list(names.packages) if entry.key != keep):
        storage.delete([key])
        told(f"deleted {storage.uri(key)}")


def ensure_record(storage: Storage, interpolator: str, wanted: EndpointRecord, told: Report) -> None:
    """Tell the pipeline what the endpoint of that name is."""
    if read_if_whole(storage, EndpointRecord, endpoint_key(interpolator), torn=_TORN) != wanted:
        write_served(storage, interpolator, wanted)
        told(f"wrote {storage.uri(endpoint_key(interpolator))}")


def forget_records(storage: Storage, names: Names, told: Report, *, keep: str | None = None) -> None:
    """Tell the pipeline that the deployment serves nothing, but for the interpolator to keep."""
    for interpolator in sorted(_interpolators(storage, names)):
        if interpolator != keep:
            forget_served(storage, interpolator)
            told(f"deleted {storage.uri(endpoint_key(interpolator))}")


def _is_bucket(storage: Storage) -> bool:
    return storage.url.startswith("s3://")


def _interpolators(storage: Storage, names: Names) -> Iterator[str]:
    """What the records say that the deployment serves; those of other endpoints are not its own."""
    for entry in storage.list(ENDPOINTS):
        record = read_if_whole(storage, EndpointRecord, entry.key, torn=_TORN)
        if record is not None and record.sagemaker_endpoint == names.endpoint:
            yield PurePosixPath(entry.key).stem
