"""A bucket of the tests' own behind a proxy, and every operation on a storage there."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.s3.models import s3_backends

from slowmo_pipeline.storage.base import Storage

MIB = 1 << 20

OPERATIONS: dict[str, Callable[[Storage], Any]] = {
    "read": lambda storage: storage.read("a/b"),
    "write": lambda storage: storage.write("a/c", b"2"),
    "create": lambda storage: storage.create("a/d", b"3"),
    "list": lambda storage: list(storage.list("a/")),
    "folders": lambda storage: storage.folders("a/"),
    "uploads": lambda storage: storage.uploads(),
    "stat": lambda storage: storage.stat("a/b"),
    "delete": lambda storage: storage.delete(["a/b"]),
    "upload": lambda storage: storage.upload(Path(__file__), "a/e"),
    "local file": lambda storage: storage.local_file("a/b").__enter__(),
}
"""By name; the object a/b is there."""

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def write_an_hour_ago(storage: Storage, key: str, content: bytes) -> None:
    """Write an object that S3 tells to have lain there for an hour."""
    storage.write(key, content)
    bucket, _, name = storage.uri(key).removeprefix("s3://").partition("/")
    stored = s3_backends["123456789012"]["aws"].get_object(bucket, name)
    assert stored is not None
    stored.last_modified -= timedelta(hours=1)
