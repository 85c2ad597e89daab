"""Clients of AWS's services, set up alike: who signs and where they connect is boto3's usual chain."""

from threading import Lock
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, InvalidConfigError

from slowmo_pipeline.storage.patience import AWS_REQUEST

# A session is not thread-safe, and Dagster evaluates sensors in threads; the clients that it makes are.
_MAKING = Lock()


def aws_client(service: str, *, config: Config | None = None, **options: Any) -> Any:
    """A client of boto3's default session, whose credentials are renewed in one place for all of them.

    `config` goes on top of AWS_REQUEST; `options` are those of `boto3.client`. Raises botocore's errors, of which
    InvalidConfigError stands for settings that botocore lets end in an error of Python's: a program for credentials
    that is not there, a token's file, an address without a scheme.
    """
    settings = Config(**AWS_REQUEST).merge(config) if config else Config(**AWS_REQUEST)
    with _MAKING:
        try:
            client = boto3.client(service, config=settings, **options)  # type: ignore[call-overload]
            if getattr(settings, "signature_version", None) is not UNSIGNED:
                _fetch_credentials()
        except (AttributeError, OSError, ValueError) as error:
            if isinstance(error, BotoCoreError):
                raise
            raise InvalidConfigError(error_msg=str(error)) from error
    return client


def _fetch_credentials() -> None:
    """Have them now, where it is known what their errors mean, and not in the middle of the first request."""
    credentials = boto3.DEFAULT_SESSION and boto3.DEFAULT_SESSION.get_credentials()
    if credentials:
        credentials.get_frozen_credentials()
