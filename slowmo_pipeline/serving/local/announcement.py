"""What a local server leaves in the storage: which model its endpoints run, and where it is."""

import logging
import platform

from slowmo_pipeline.chunks.tar import MAX_TAR_BYTES
from slowmo_pipeline.endpoint.local_client import ping
from slowmo_pipeline.endpoint.record import EndpointRecord, LocalServer, write_served
from slowmo_pipeline.errors import DamagedRecordError, EndpointError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole, read_record
from slowmo_pipeline.storage.keys import endpoint_key

MAX_BODY_BYTES = MAX_TAR_BYTES
"""Of a chunk, as at SageMaker's asynchronous endpoints: 1 GB."""

logger = logging.getLogger(__name__)


def announce(storage: Storage, name: str, model_id: str, server: LocalServer) -> None:
    """Tell the storage's users what the endpoint of that name is from now on.

    Raises EndpointError when it is one of Amazon SageMaker, or of another live server on this machine with another
    model: whoever submits to either of them would have to take what the other makes. One with the same model stays the
    one that is told of.
    """
    found = read_if_whole(storage, EndpointRecord, endpoint_key(name), torn="It is written anew.")
    if found is not None and found.sagemaker_endpoint is not None:
        raise EndpointError(
            f"For {storage.url}, {name} is the endpoint {found.sagemaker_endpoint} of Amazon SageMaker. Delete it with "
            "`slowmo endpoint delete`, or use another SLOWMO_STORAGE."
        )
    if found is not None and found.server is not None and found.server.id != server.id and _is_live(found.server):
        if found.model_id == model_id:
            return
        raise EndpointError(
            f"For {storage.url}, {name} is {found.model_id} of another local server, which lives at "
            f"{found.server.url}; this one would run {model_id}. End that one first, or give each home a "
            "SLOWMO_STORAGE of its own."
        )
    write_served(storage, name, EndpointRecord(model_id=model_id, max_body_bytes=MAX_BODY_BYTES, server=server))


def announce_again(storage: Storage, name: str, model_id: str, server: LocalServer) -> None:
    """Announce it anew where the record is torn or gone, or another local server's. Raises EndpointError as well."""
    try:
        found = read_record(storage, EndpointRecord, endpoint_key(name))
    except DamagedRecordError:
        found = None
    if found is None or (found.sagemaker_endpoint is None and found.server != server):
        announce(storage, name, model_id, server)


def _is_live(server: LocalServer) -> bool:
    """Whether a server on this machine answers; one on another machine cannot be asked."""
    if server.host != platform.node():
        return False
    answer = ping(server.url)
    return answer is not None and answer.get("server") == server.id
