"""A bucket of Amazon S3 as obstore's store: who signs, how patient it is, and what its errors mean."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from slowmo_pipeline.aws_errors import DENIED, EXPIRED, GRANT, SIGN_IN
from slowmo_pipeline.errors import StorageError

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from obstore.store import ClientConfig, RetryConfig, S3Credential

_SOON = timedelta(minutes=5)
"""obstore asks for credentials again when the last ones are good for less than this."""
_TRUSTED = timedelta(minutes=1)
"""How long credentials are used before botocore is asked again. It renews them ten minutes before their end."""

_RETRIES: "RetryConfig" = {
    # obstore's own settings give up on a busy bucket after two seconds; these, about half a minute.
    "max_retries": 10,
    "backoff": {"init_backoff": timedelta(seconds=0.2), "base": 3, "max_backoff": timedelta(seconds=15)},
    "retry_timeout": timedelta(minutes=3),
}

_CLIENT: "ClientConfig" = {
    "allow_http": True,  # only an explicit endpoint is ever plain HTTP
    # obstore's 30 s for a whole request cut off a body of 1 GB on any line below 34 MB/s. A line that stands still
    # is noticed by the other time-out.
    "timeout": timedelta(hours=6),
    "read_timeout": timedelta(seconds=60),
    "connect_timeout": timedelta(seconds=10),
}

_LEAST_PART_BYTES = 8 << 20
_MOST_PARTS = 10_000
"""Of one upload to S3."""

_CODE = re.compile(r"<Code>(\w+)</Code>")


class Bucket:
    """What lies below `s3://bucket/prefix`, signed by boto3's usual chain of credentials.

    Server-side encryption is the bucket's default unless AWS_SERVER_SIDE_ENCRYPTION (AES256, aws:kms) and
    AWS_SSE_KMS_KEY_ID say otherwise; obstore reads them. Raises StorageError when there are no credentials.
    """

    def __init__(self, url: str) -> None:
        # 0.3 s, which a folder never needs.
        import boto3

        with told_as_storage_error(url):
            self._session = boto3.Session()
            credentials = self._session.get_credentials()
        if credentials is None:
            raise StorageError(f"There are no AWS credentials for {url}: set AWS_PROFILE or run `aws configure`.")
        self._name, _, prefix = url.removeprefix("s3://").partition("/")
        self._root = prefix and f"{prefix}/"
        self.store = S3Store(
            self._name,
            prefix=prefix or None,
            endpoint=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
            region=self._session.region_name or "us-east-1",
            credential_provider=_Renewed(credentials),
            client_options=_CLIENT,
            retry_config=_RETRIES,
        )

    def objects(self, prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Key and description of every object below a prefix, whatever it is called, as S3 lists them."""
        pages = self._session.client("s3").get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._name, Prefix=self._root + prefix):
            for found in page.get("Contents", []):
                yield found["Key"].removeprefix(self._root), found


def part_bytes(size: int) -> int:
    """Bytes of each part but the last of an upload: S3 takes no more than 10,000 parts, of 5 MiB or more each."""
    return max(_LEAST_PART_BYTES, -(-size // _MOST_PARTS))


@contextmanager
def told_as_storage_error(url: str) -> Iterator[None]:
    """Turn what obstore and boto3 raise about S3 into one sentence with the next step.

    FileNotFoundError for a missing key and AlreadyExistsError pass, since they are answers.
    """
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NotConnectedError

    try:
        yield
    except AlreadyExistsError:
        raise
    except FileNotFoundError as error:
        if "<Code>NoSuchBucket</Code>" in str(error):
            raise _meant(url, error) from error
        raise
    except ClientError as error:
        raise _meant(url, error, code=error.response["Error"].get("Code", "")) from error
    except (HTTPClientError, NotConnectedError) as error:
        raise _meant(url, error) from error
    except BotoCoreError as error:
        raise _unsigned(url, error) from error
    except BaseError as error:
        raise _meant(url, error) from error


class _Renewed:
    """boto3's credentials as obstore asks for them; temporary ones are renewed in time."""

    def __init__(self, credentials: "Credentials") -> None:
        self._credentials = credentials

    def __call__(self) -> "S3Credential":
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            "expires_at": datetime.now(timezone.utc) + _SOON + _TRUSTED,
        }


def _meant(url: str, error: Exception, *, code: str | None = None) -> StorageError:
    first_line = str(error).partition("\n")[0]
    if code is None:
        found = _CODE.search(first_line)
        code = found[1] if found else ""
    if isinstance(error, UnauthenticatedError):  # the chain of credentials failed, or an answer 401
        return _unsigned(url, first_line.partition("credential provider: ")[2] or first_line)
    if code in EXPIRED:
        return _unsigned(url, code)
    if code in DENIED or isinstance(error, PermissionDeniedError):
        return StorageError(f"AWS does not let these credentials use {url}: {GRANT}. S3 says: {first_line}")
    if code == "NoSuchBucket":
        return StorageError(f"The bucket of {url} does not exist: make it, or set SLOWMO_STORAGE to another one.")
    if code == "PermanentRedirect" or "incorrectly configured region" in first_line:
        return StorageError(f"The bucket of {url} lies in another region: set AWS_DEFAULT_REGION to it.")
    return StorageError(f"{url} cannot be used now; run again later, nothing done is lost. S3 says: {first_line}")


def _unsigned(url: str, why: object) -> StorageError:
    return StorageError(f"AWS does not take the credentials for {url} ({' '.join(str(why).split())}): {SIGN_IN}.")
