"""Records as stored objects."""

import logging
from typing import Protocol, TypeVar

from slowmo_pipeline.errors import DamagedRecordError, StorageError
from slowmo_pipeline.record import Record
from slowmo_pipeline.storage.base import Storage

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Stored(Protocol[T_co]):
    """A class whose objects are stored as JSON, such as each kind of Record."""

    def from_json(self, data: bytes, *, where: str) -> T_co:
        """What `data` hold. Raises DamagedRecordError that names `where`."""


def read_record(storage: Storage, kind: Stored[T], key: str) -> T | None:
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


def read_if_whole(storage: Storage, kind: Stored[T], key: str, *, torn: str) -> T | None:
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
