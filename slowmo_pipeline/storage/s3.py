"""A storage in a bucket of Amazon S3, or of anything that speaks its protocol, through boto3 alone.

Who signs, and where to: boto3's usual chain of environment variables and config files, roles and single sign-on
included. Each object is one request, but for large uploads, which go in parts, and broken downloads, which go on where
they broke.
"""

import random
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NotConnectedError
from s3transfer.manager import TransferConfig, TransferManager
from urllib3.exceptions import HTTPError

from slowmo_pipeline.environment import current_home, server_side_encryption
from slowmo_pipeline.errors import StorageError
from slowmo_pipeline.storage.aws_client import aws_client
from slowmo_pipeline.storage.aws_errors import AWS_ERRORS, AwsError, Cause, sorted_out
from slowmo_pipeline.storage.base import Entry, Uploads, key_below
from slowmo_pipeline.storage.disk_errors import disk_errors, full, replacing, require_readable
from slowmo_pipeline.storage.keys import UPLOADS
from slowmo_pipeline.storage.patience import S3_CONFLICT_PAUSES_SECONDS, S3_REQUEST
from slowmo_pipeline.storage.scratch import Scratch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_PART_BYTES = 32 << 20
"""A part's request costs as much processor time as some megabytes of it; the transfer manager makes parts larger where
S3's limit of 10,000 asks for it."""

# Three parts at once: more of them wait for Python's lock than for the line (benchmarks/storage.py).
_TRANSFER = TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_request_concurrency=3)

_MOST_BREAKS = 5
"""In a row without a piece in between: more end a download."""

_PIECE_BYTES = 1 << 20
_LINK_SECONDS = 3600
_MOST_DELETED = 1000
"""Keys in one request."""

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_EXISTS = frozenset({"412", "PreconditionFailed"})
_CHANGED = frozenset({"InvalidRange", *_EXISTS, *_ABSENT})
_BREAKS = (HTTPClientError, NotConnectedError, IncompleteReadError, HTTPError)
"""How a line breaks in the middle of a body."""
_SETTING = "SLOWMO_HOME"


class S3Storage:
    """Objects below `s3://bucket/prefix`; see `Storage`.

    Server-side encryption is the bucket's default unless AWS_SERVER_SIDE_ENCRYPTION (AES256, aws:kms) and
    AWS_SSE_KMS_KEY_ID say otherwise. Raises StorageError for AWS settings that cannot be read.
    """

    poll_seconds = 15.0
    """Every look is a request, and paid for."""
    uploads_appear_whole = True

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        self._root = prefix and f"{prefix}/"
        with self._errors():
            self._s3: S3Client = aws_client("s3", config=Config(**S3_REQUEST))
        self._encryption: Any = server_side_encryption()
        self._scratch = Scratch(current_home().scratch, setting=_SETTING)
        self._kept = ExitStack()
        self._copying = Lock()
        self._copies: dict[tuple[str, str], Path] = {}
        """Of uploads, by key and version."""

    def uri(self, key: str) -> str:
        return f"{self.url}/{key}"

    def display_path(self, key: str) -> str:
        return self.uri(key)

    def key_of(self, uri: str) -> str:
        return key_below(self.url, uri)

    def browser_link(self, key: str, *, method: str, content_type: str) -> str | None:
        operation = "head_object" if method == "HEAD" else "get_object"
        parameters = {**self._named(key), "ResponseContentType": content_type}
        with self._errors():
            # Not botocore's usual choice for links, which signs them as of 2006: buckets with keys of KMS refuse that.
            signer = aws_client("s3", config=Config(**S3_REQUEST, signature_version="s3v4"))
            link: str = signer.generate_presigned_url(operation, Params=parameters, ExpiresIn=_LINK_SECONDS)
        return link

    def read(self, key: str) -> bytes:
        return b"".join(self._pieces(key, self._opened(key)))

    def write(self, key: str, data: bytes) -> None:
        with self._errors():
            self._s3.put_object(**self._named(key), Body=data, **self._encryption)

    def create(self, key: str, data: bytes) -> bool:
        with self._errors():
            for pause in (*S3_CONFLICT_PAUSES_SECONDS, None):
                try:
                    self._s3.put_object(**self._named(key), Body=data, IfNoneMatch="*", **self._encryption)
                except ClientError as error:
                    if _code(error) in _EXISTS:
                        return False
                    if _code(error) != "ConditionalRequestConflict" or pause is None:
                        raise
                    time.sleep(random.uniform(0, pause))  # somebody else creates it just now: who wins is not known yet
                else:
                    break
        return True

    def stat(self, key: str) -> Entry | None:
        with self._errors():
            try:
                found = self._s3.head_object(**self._named(key))
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                # S3 answers a HEAD without saying why it refuses: asked for a listing, it says so.
                self._s3.list_objects_v2(Bucket=self._bucket, Prefix=self._root + key, MaxKeys=1)
                raise
            return _entry(key, found["ContentLength"], found["LastModified"], found["ETag"])

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._errors():
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._root + prefix):
                for found in page.get("Contents", []):
                    key = found["Key"].removeprefix(self._root)
                    yield _entry(key, found["Size"], found["LastModified"], found["ETag"])

    def folders(self, prefix: str) -> tuple[str, ...]:
        with self._errors():
            pages = self._s3.get_paginator("list_objects_v2")
            found = [
                PurePosixPath(folder["Prefix"]).name
                for page in pages.paginate(Bucket=self._bucket, Prefix=self._root + prefix, Delimiter="/")
                for folder in page.get("CommonPrefixes", [])
            ]
        return tuple(sorted(found))

    def delete(self, keys: Iterable[str]) -> None:
        names = iter(keys)
        while batch := [{"Key": self._root + key} for key in islice(names, _MOST_DELETED)]:
            with self._errors():
                answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True})  # type: ignore[typeddict-item]
                for refused in answer.get("Errors", []):
                    raise ClientError({"Error": dict(refused)}, "DeleteObjects")  # type: ignore[typeddict-item]

    def upload(self, path: Path, key: str) -> None:
        require_readable(path)
        with self._errors(), TransferManager(self._s3, _TRANSFER) as manager:
            try:
                manager.upload(str(path), self._bucket, self._root + key, self._encryption).result()
            except OSError as error:
                if isinstance(error, AWS_ERRORS):
                    raise
                raise StorageError(f"{path} cannot be read to its end: {error}.") from error

    def download(self, key: str, path: Path) -> None:
        answer = self._opened(key)
        with replacing(path) as aside:
            self._save(key, answer, aside)

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        with self.scratch() as folder:
            yield self._copied(key, folder)

    @contextmanager
    def local_upload(self, upload: Entry) -> Iterator[Path]:
        with self._copying:
            path = self._copies.get((upload.key, upload.version))
            if path is None or not path.exists():
                with ExitStack() as folders:
                    path = self._copied(upload.key, folders.enter_context(self.scratch()), version=upload.version)
                    self._kept.push(folders.pop_all())
                self._copies[upload.key, upload.version] = path
        yield path

    def scratch(self) -> AbstractContextManager[Path]:
        return self._scratch.folder()

    def uploads(self) -> Uploads:
        entries, unusable = [], {}
        for entry in self.list(UPLOADS):
            if entry.key.endswith("/") and not entry.size:
                continue  # what consoles call a folder
            if {".", ".."} & set(entry.key.split("/")):
                unusable[entry.key] = "a name that no address can hold"
            else:
                entries.append(entry)
        return Uploads(tuple(entries), unusable)

    def prepare_uploads(self) -> None:
        pass

    def free_bytes(self) -> int | None:
        return None

    def remove_leftovers(self) -> int:
        return self._scratch.remove_dead()

    def close(self) -> None:
        self._copies.clear()
        self._kept.close()

    def _named(self, key: str) -> Any:
        return {"Bucket": self._bucket, "Key": self._root + key}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise StorageError for whatever goes wrong between this machine and the bucket."""
        try:
            yield
        except StorageError:
            raise
        except AWS_ERRORS as error:
            raise StorageError(sorted_out(error).sentence(self.url)) from error
        except KeyError as error:
            meant = AwsError(Cause.NOT_AWS, "", f"its answer has no {error}")
            raise StorageError(meant.sentence(self.url)) from error
        except (OSError, ValueError) as error:  # of credentials that are renewed: their program or their token is gone
            raise StorageError(AwsError(Cause.SETTINGS, "", str(error)).sentence(self.url)) from error

    def _copied(self, key: str, folder: Path, *, version: str | None = None) -> Path:
        """The object as a file in a scratch folder."""
        path = folder / PurePosixPath(key).name
        answer = self._opened(key, version=version)
        with disk_errors(folder, setting=_SETTING):
            needed, free = answer.get("ContentLength", 0), shutil.disk_usage(folder).free
            if needed > free:
                answer["Body"].close()
                raise full(folder, _SETTING, needed=needed)
            self._save(key, answer, path)
        return path

    def _save(self, key: str, answer: "GetObjectOutputTypeDef", path: Path) -> None:
        with closing(answer["Body"]), path.open("wb") as file:
            for piece in self._pieces(key, answer):
                file.write(piece)

    def _opened(self, key: str, *, version: str | None = None) -> "GetObjectOutputTypeDef":
        """The answer to a GET of the whole object. FileNotFoundError when there is none."""
        with self._errors():
            try:
                return self._get(key, **({} if version is None else {"IfMatch": f'"{version}"'}))
            except ClientError as error:
                if _code(error) not in _ABSENT:
                    raise
        raise FileNotFoundError(f"{self.uri(key)} does not exist.")

    def _pieces(self, key: str, answer: "GetObjectOutputTypeDef") -> Iterator[bytes]:
        """The bytes of an object; a line that breaks goes on where it broke, while the object is the same."""
        read = breaks = 0
        with self._errors():
            version = answer["ETag"]
            while True:
                try:
                    with closing(answer["Body"]) as body:
                        for piece in body.iter_chunks(_PIECE_BYTES):
                            read, breaks = read + len(piece), 0
                            yield piece
                    return
                except _BREAKS:
                    breaks += 1
                    if breaks > _MOST_BREAKS:
                        raise
                time.sleep(random.uniform(0, 2**breaks / 4))
                answer = self._get(key, Range=f"bytes={read}-", IfMatch=version)

    def _get(self, key: str, **options: Any) -> "GetObjectOutputTypeDef":
        try:
            return self._s3.get_object(**self._named(key), **options)
        except ClientError as error:
            if options and _code(error) in _CHANGED:
                raise StorageError(f"{self.uri(key)} changed while it was read: run again.") from error
            raise


def _entry(key: str, size: int, modified: datetime, etag: str) -> Entry:
    # Stores that list fractions of a second leave them out of a HEAD.
    return Entry(key, size, modified, version=etag.strip('"'), changed=int(modified.timestamp()) * 10**9)


def _code(error: ClientError) -> str:
    return error.response["Error"].get("Code", "")
