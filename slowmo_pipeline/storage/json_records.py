"""Records as stored objects."""

import logging

from slowmo_pipeline.errors import DamagedRecordError, StorageError
from slowmo_pipeline.record import AnyRecord, Record
from slowmo_pipeline.storage.base import Storage

logger = logging.getLogger(__name__)


def read_record(storage: Storage, kind: type[AnyRecord], key: str) -> AnyRecord | None:
    """The record under a key; None when there is none.

    Raises DamagedRecordError, which names it, for a torn one, and for one that may not be read.
    """
    try:
        data = storage.read(key)
    except FileNotFoundError:
        return None
    except StorageError as error:
        if isinstance(error.__cause__, PermissionError):
            raise DamagedRecordError(str(error)) from error
        raise
    return kind.from_json(data, where=storage.display_path(key))


def read_if_whole(storage: Storage, kind: type[AnyRecord], key: str, *, torn: str) -> AnyRecord | None:
    """The record under a key; None when there is none, and for a torn one.

    That is told in the log, with what it means: `torn`, a sentence.
    """
    try:
        return read_record(storage, kind, key)
    except DamagedRecordError as error:
        logger.warning("%s %s", error, torn)
        return None


def write_record(storage: Storage, key: str, record: Record) -> None:
    """Write a record, replacing what was there."""
    storage.write(key, record.to_json())
