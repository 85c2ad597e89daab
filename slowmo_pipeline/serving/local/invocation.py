"""SageMaker's InvokeEndpointAsync as it stands in HTTP headers, parsed into a Request or refused as SageMaker does.

Names, limits and patterns: the service model of Amazon SageMaker Runtime (2017-05-13).
"""

import re
import time
import uuid
from collections.abc import Mapping

from slowmo_pipeline.errors import EndpointError, StorageError
from slowmo_pipeline.serving.local.request_queue import Request
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import FAILURES

_PREFIX = "x-amzn-sagemaker-"
_OPAQUE = ("content-type", "accept", "custom-attributes")
_LONGEST_OPAQUE = 1024
_LONGEST_LOCATION = 1024

_INFERENCE_ID = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,63}")
_PATH_EXTENSION = re.compile(r"(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]{1,512}")
_FILENAME = re.compile(r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9_.-]{0,31}")

_SECONDS = re.compile(r"[0-9]{1,9}")
_TTL_SECONDS = (60, 21_600)
_TIMEOUT_SECONDS = (1, 3600)
_DEFAULT_TTL_SECONDS = 21_600
_DEFAULT_TIMEOUT_SECONDS = 900


class ValidationError(EndpointError):
    """A request that SageMaker would answer with ValidationError, status 400; the local server answers so too."""


def parse_invocation(endpoint: str, headers: Mapping[str, str], storage: Storage) -> Request:
    """Read one invocation; ValidationError for what SageMaker refuses and for locations outside the storage.

    The result's key is S3OutputPathExtension, then Filename, below the storage root, as under an S3OutputPath. A
    failure gets a name of its own, never one derived from the InferenceId: clients keep the location they are told.
    `headers` finds names in lower case.
    """
    request_id = str(uuid.uuid4())
    for name in _OPAQUE:
        value = headers.get(_PREFIX + name, "")
        if len(value) > _LONGEST_OPAQUE or not value.isascii():
            raise ValidationError(f"{name} must be at most {_LONGEST_OPAQUE} ASCII characters.")
    return Request(
        id=request_id,
        storage=storage.url,
        endpoint=endpoint,
        inference_id=_matching(headers, "inference-id", _INFERENCE_ID) or str(uuid.uuid4()),
        input_key=_input_key(headers, storage),
        result_key=_result_key(headers, request_id),
        failure_key=f"{FAILURES}{request_id}-error.out",
        ttl_seconds=_bounded(headers, "requestttlseconds", _TTL_SECONDS, _DEFAULT_TTL_SECONDS),
        timeout_seconds=_bounded(headers, "invocationtimeoutseconds", _TIMEOUT_SECONDS, _DEFAULT_TIMEOUT_SECONDS),
        accepted_at=time.time(),
    )


def _input_key(headers: Mapping[str, str], storage: Storage) -> str:
    location = headers.get(_PREFIX + "inputlocation", "")
    if not location:
        raise ValidationError("InputLocation is missing: store the chunk and send where it lies.")
    if len(location) > _LONGEST_LOCATION:
        raise ValidationError(f"InputLocation must be at most {_LONGEST_LOCATION} characters.")
    try:
        return storage.key_of(location)
    except StorageError as error:
        raise ValidationError(f"InputLocation: {error}") from error


def _result_key(headers: Mapping[str, str], request_id: str) -> str:
    extension = _matching(headers, "s3outputpathextension", _PATH_EXTENSION)
    filename = _matching(headers, "filename", _FILENAME) or f"{request_id}.out"
    if extension is None:
        return filename
    key = f"{extension.strip('/')}/{filename}"
    # On S3 these would be odd names; in a folder they lead out of it, or to another object.
    if {"", ".", ".."} & set(key.split("/")):
        raise ValidationError(f"S3OutputPathExtension: {key!r} must not have empty, '.' or '..' parts.")
    return key


def _matching(headers: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str | None:
    value = headers.get(_PREFIX + name)
    if value is not None and pattern.fullmatch(value) is None:
        raise ValidationError(f"{name} = {value[:100]!r} must satisfy the regular expression {pattern.pattern}")
    return value


def _bounded(headers: Mapping[str, str], name: str, bounds: tuple[int, int], default: int) -> int:
    value = headers.get(_PREFIX + name)
    if value is None:
        return default
    least, most = bounds
    if _SECONDS.fullmatch(value) is None or not least <= int(value) <= most:
        raise ValidationError(f"{name} = {value[:100]!r} must be a whole number of {least} to {most} seconds.")
    return int(value)
