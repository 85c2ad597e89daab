"""What an endpoint is, as the storage tells: a record by each name, written by whoever deploys or serves it."""

from slowmo_pipeline.errors import DamagedRecordError, EndpointError
from slowmo_pipeline.record import Epoch, Record
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole, read_record, write_record
from slowmo_pipeline.storage.keys import endpoint_key

_WRITTEN_ANEW = "`slowmo endpoint deploy` writes it anew, and so does a local endpoint when it starts."


class LocalServer(Record):
    """A local server, as those remember it that it serves."""

    id: str
    """Of its state folder: the same after a restart, whatever the address is then."""
    url: str
    """`http://127.0.0.1:port`, for boto3's endpoint_url."""
    host: str
    """The machine that the address is meant on, by its own name."""
    state: str | None = None
    """Its state folder, where its token lies; None for a server of before, which has none."""


class EndpointRecord(Record):
    """What an endpoint is, as the storage tells; written by whoever deploys or serves it."""

    model_id: str
    max_body_bytes: int
    """Of a chunk."""
    sagemaker_endpoint: str | None = None
    """The name of an endpoint of Amazon SageMaker; None: the local endpoint."""
    instance_type: str | None = None
    """What it runs on at SageMaker."""
    deployed_at: Epoch | None = None
    """When that endpoint was created, in seconds since the epoch. What was submitted before is gone."""
    server: LocalServer | None = None
    """The local server that is the endpoint."""


def served(storage: Storage, name: str) -> EndpointRecord:
    """What the endpoint of that name runs. Raises EndpointError when none ever served this storage."""
    try:
        found = read_record(storage, EndpointRecord, endpoint_key(name))
    except DamagedRecordError as error:
        raise EndpointError(f"What the endpoint {name} is, is not known: {error} {_WRITTEN_ANEW}") from error
    if found is None:
        raise EndpointError(
            f"No endpoint named {name!r} has served the storage {storage.url} yet. Start the local one with "
            "`slowmo endpoint serve` or `slowmo up`, or deploy one with `slowmo endpoint deploy`."
        )
    return found


def served_now(storage: Storage, name: str) -> EndpointRecord | None:
    """What the endpoint of that name runs; None when there is none, or no longer: nothing newer is known then."""
    try:
        return served(storage, name)
    except EndpointError:
        return None


def is_deployed(storage: Storage, name: str) -> bool:
    """Whether the endpoint of that name is one of Amazon SageMaker."""
    torn = f"Whether {name} is an endpoint of Amazon SageMaker is not known. {_WRITTEN_ANEW}"
    found = read_if_whole(storage, EndpointRecord, endpoint_key(name), torn=torn)
    return found is not None and found.sagemaker_endpoint is not None


def write_served(storage: Storage, name: str, served: EndpointRecord) -> None:
    """Say what the endpoint of that name is from now on."""
    write_record(storage, endpoint_key(name), served)


def forget_served(storage: Storage, name: str) -> None:
    """Say that there is no endpoint of that name any more; harmless if there was none."""
    storage.delete([endpoint_key(name)])
