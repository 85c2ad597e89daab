"""Records as stored objects."""

from slowmo_pipeline.record import AnyRecord, Record
from slowmo_pipeline.storage.base import Storage


def read_record(storage: Storage, kind: type[AnyRecord], key: str) -> AnyRecord | None:
    """The record under a key; None when there is none. Raises DamagedRecordError, which names it, for a torn one."""
    try:
        data = storage.read(key)
    except FileNotFoundError:
        return None
    return kind.from_json(data, where=storage.display_path(key))


def write_record(storage: Storage, key: str, record: Record) -> None:
    """Write a record, replacing what was there."""
    storage.write(key, record.to_json())
