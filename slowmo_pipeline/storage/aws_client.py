"""Clients of AWS's services, set up alike: who signs and where they connect is boto3's usual chain."""

from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

RETRIES: Any = {"mode": "standard", "total_max_attempts": 5}
"""Of each request: throttling, 5xx and lost connections are met by five sends at the most, with jitter between them."""

# A session is not thread-safe, and Dagster evaluates sensors in threads; the clients that it makes are.
_MAKING = Lock()


def aws_client(service: str, *, config: Config | None = None, **options: Any) -> Any:
    """A client of boto3's default session, whose credentials are renewed in one place for all of them.

    `config` goes on top of RETRIES; `options` are those of `boto3.client`. Raises botocore's errors for settings that
    it cannot read.
    """
    patience = Config(retries=RETRIES)
    with _MAKING:
        return boto3.client(service, config=patience.merge(config) if config else patience, **options)  # type: ignore[call-overload]
