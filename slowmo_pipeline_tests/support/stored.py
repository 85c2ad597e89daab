"""Stored objects as tests look at them: as plain JSON, and as files of a folder."""

import json
from pathlib import Path
from typing import Any

from slowmo_pipeline.record import AnyRecord
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.folder import FolderStorage


def read_json(storage: Storage, key: str) -> Any:
    """What lies under a key, or None."""
    return None if storage.stat(key) is None else json.loads(storage.read(key))


def write_json(storage: Storage, key: str, value: Any) -> None:
    """Store a value as a person would, readable."""
    storage.write(key, json.dumps(value, indent=1).encode())


def root_of(storage: Storage) -> Path:
    """The folder of a storage that is one."""
    assert isinstance(storage, FolderStorage)
    return storage.root


def changed(record: AnyRecord, **fields: Any) -> AnyRecord:
    """The record with other values in some fields."""
    return record.model_copy(update=fields)
