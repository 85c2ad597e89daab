"""Which files a SavedModel consists of, and the hash that names its content. No TensorFlow is needed for either."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from slowmo_pipeline.errors import ModelError
from slowmo_pipeline.models.archive import packed_files
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.storage.hashing import file_sha256

GRAPH = "saved_model.pb"
"""The file that makes a folder a SavedModel."""

# As tf.saved_model.save writes them. Training leaves more beside them (keras_metadata.pb), which rendering never reads.
_FILES = (GRAPH, "fingerprint.pb")
_FOLDERS = ("variables", "assets")

_LISTED = 10


def saved_model_sha256(folder: Path) -> str:
    """SHA-256 of a SavedModel's content, 64 hex digits: of its files' paths and bytes, not of their dates or packing.

    It is the hash of what this prints in the folder (leave out what is not there):

        find saved_model.pb fingerprint.pb variables assets -type f | LC_ALL=C sort | xargs sha256sum
    """
    found = [folder / name for name in _FILES if (folder / name).is_file()]
    for top in _FOLDERS:
        for parent, _, names in os.walk(folder / top, followlinks=True):
            found += (Path(parent, name) for name in names)
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in found):
        digest.update(os.fsencode(f"{file_sha256(path)}  {name}\n"))
    return digest.hexdigest()


def copy_saved_model(source: Path, target: Path, *, origin: str, member: str | None, progress: Progress) -> None:
    """Copy the files of the SavedModel in a folder or an archive, and nothing else, into the new folder `target`.

    `origin` is what messages call the source; `member` names the folder inside it where several hold a SavedModel.
    Raises ModelError when that is needed or wrong, when there is no SavedModel, and for what `packed_files` refuses.
    """
    with packed_files(source, origin=origin) as files:
        root = _root([file.path for file in files], origin, member)
        wanted = [file for file in files if _is_part(file.path, root)]
        total = sum(file.size for file in wanted)
        done = 0
        for file in wanted:
            path = target / file.path.relative_to(root)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as copy:
                for piece in file.pieces():
                    copy.write(piece)
                    done += len(piece)
                    progress("copy", done, total, "bytes")


def _root(paths: Iterable[PurePosixPath], origin: str, member: str | None) -> PurePosixPath:
    """The folder of the SavedModel among files of these paths."""
    roots = sorted(path.parent for path in paths if path.name == GRAPH)
    listed = ", ".join(map(str, roots[:_LISTED])) + (", …" if len(roots) > _LISTED else "")
    if not roots:
        raise ModelError(f"{origin} holds no SavedModel: there is no {GRAPH} in it.")
    if member is not None:
        if PurePosixPath(member) not in roots:
            raise ModelError(f"{origin} has no SavedModel in {member}. It has: {listed}.")
        return PurePosixPath(member)
    if len(roots) > 1:
        raise ModelError(f"{origin} holds {len(roots)} SavedModels: name one with --member. They are: {listed}.")
    return roots[0]


def _is_part(path: PurePosixPath, root: PurePosixPath) -> bool:
    if not path.is_relative_to(root):
        return False
    inner = path.relative_to(root)
    return str(inner) in _FILES or (len(inner.parts) > 1 and inner.parts[0] in _FOLDERS)
