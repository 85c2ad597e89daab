"""The files of a folder, a .zip or a .tar.gz, alike: their names first, then their contents as streams.

Names that lead elsewhere and links are refused, and so is what is larger than any model. No more: what is unpacked is a
program, which TensorFlow runs.
"""

import errno
import gzip
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from slowmo_pipeline.errors import ModelError, SlowmoError

MAX_BYTES = 2 * 1024**3
"""Of an archive, and of what is in it. The published network has 0.14 GB, an archive with all three of them 0.5 GB."""

MAX_FILES = 10_000
"""A SavedModel has about five; this many mean that the wrong folder was named."""

PIECE_BYTES = 256 * 1024

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,  # zipfile, of a file without a name
    ValueError,  # tarfile, of sizes and names
    RuntimeError,  # zipfile, of encryption; tarfile recurses where long names follow each other
)


@dataclass(frozen=True)
class PackedFile:
    """A regular file in a folder or an archive."""

    path: PurePosixPath
    """Relative, below the top: no `..` in it."""
    size: int
    """Bytes, as declared."""
    open: Callable[[], IO[bytes]]

    def pieces(self) -> Iterator[bytes]:
        """The content in pieces of at most PIECE_BYTES. Raises ModelError where the archive is damaged."""
        with _errors_as_model_error(self.path), self.open() as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece


@contextmanager
def packed_files(source: Path, *, origin: str) -> Iterator[list[PackedFile]]:
    """All files of a folder, a .zip or a .tar.gz (told apart by their first bytes), readable while the block lasts.

    `origin` is what messages call the source. Raises ModelError if it is none of these, is damaged, holds a link or a
    path that leads outside, a file twice, or more than MAX_FILES and MAX_BYTES allow.
    """
    if source.is_dir():
        yield _checked(_in_folder(source), origin)
        return
    if not source.is_file():
        raise ModelError(f"{origin} does not exist. Give a folder, a .zip or a .tar.gz that holds a SavedModel.")
    with ExitStack() as stack:
        file = stack.enter_context(source.open("rb"))
        magic = file.read(2)
        file.seek(0)
        with _errors_as_model_error(origin):
            if magic == b"PK":
                files = _checked(_in_zip(stack.enter_context(zipfile.ZipFile(file))), origin)
            elif magic == b"\x1f\x8b":
                unpacked = _Bounded(fileobj=file)
                tar = stack.enter_context(tarfile.TarFile(fileobj=unpacked))
                files = _checked(_in_tar(tar), origin)
                while unpacked.read(PIECE_BYTES):
                    pass  # up to its end, where gzip compares its checksum
            else:
                raise ModelError(f"{origin} is neither a .zip nor a .tar.gz: look at what it is (often a web page).")
        yield files


def _in_folder(folder: Path) -> Iterator[PackedFile]:
    # Links are followed: the folder is the user's own, and download caches are made of links.
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = Path(parent, name)
            if path.is_file():
                inner = PurePosixPath(path.relative_to(folder).as_posix())
                yield PackedFile(inner, path.stat().st_size, partial(_open_file, path))


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _in_zip(archive: zipfile.ZipFile) -> Iterator[PackedFile]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the writer was no Unix
        if kind not in (0, stat.S_IFREG):
            raise ModelError(f"{info.filename!r} in the archive is a link or a device. Pack plain files only.")
        yield PackedFile(_inner(info.filename), info.file_size, partial(archive.open, info))


def _in_tar(archive: tarfile.TarFile) -> Iterator[PackedFile]:
    for member in archive:
        if member.isdir():
            continue
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise ModelError(f"{member.name!r} in the archive is a link or a device. Pack plain files only.")
        yield PackedFile(_inner(member.name), member.size, partial(_open_member, archive, member))


def _open_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    if stream is None:
        raise ModelError(f"{member.name!r} in the archive is no file.")
    return stream


def _inner(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ModelError(f"{name!r} in the archive leads outside of it: do not trust this archive.")
    return path


def _checked(files: Iterable[PackedFile], origin: str) -> list[PackedFile]:
    """All of the files, unless they are too many, too large, or two of one name."""
    found: dict[PurePosixPath, PackedFile] = {}
    total = 0
    for file in files:
        total += file.size
        if len(found) == MAX_FILES or total > MAX_BYTES:
            raise ModelError(
                f"{origin} holds more than {MAX_FILES} files or {MAX_BYTES} bytes: give the folder of one SavedModel."
            )
        if file.path in found:
            raise ModelError(f"{origin} holds {file.path} twice. Pack it again.")
        found[file.path] = file
    return list(found.values())


@contextmanager
def _errors_as_model_error(what: object) -> Iterator[None]:
    try:
        yield
    except SlowmoError:
        raise
    except (*_DAMAGE, OSError) as error:
        # zipfile seeks to wherever a directory says, before the begin of the file too; all else is the disk's.
        if isinstance(error, OSError) and error.errno != errno.EINVAL and not isinstance(error, gzip.BadGzipFile):
            raise
        raise ModelError(f"{what} is damaged: {error}. Fetch it again.") from error


class _Bounded(gzip.GzipFile):
    """A .gz that ends somewhere, whatever it unpacks to."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > MAX_BYTES:
            raise ModelError(f"The archive unpacks to more than {MAX_BYTES} bytes: it is no model.")
        return data
