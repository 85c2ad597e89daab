"""Where `--output` puts copies of results. All is checked before any work: hours never end in a refusal."""

import os
from dataclasses import dataclass
from pathlib import Path

from slowmo_pipeline.errors import StorageError, UsageError
from slowmo_pipeline.steps.clips import stem_of
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.disk_errors import require_replaceable
from slowmo_pipeline.video.writer import CODECS


@dataclass(frozen=True)
class Output:
    """What `--output` and `--overwrite` say of the clips of one command.

    Raises UsageError for one file where there are several clips.
    """

    text: str
    clips: tuple[Path, ...]
    overwrite: bool

    def __post_init__(self) -> None:  # noqa: D105
        if len(self.clips) > 1 and not self._is_folder:
            raise UsageError(
                f"--output {self.text} names one file: give one clip, or a folder with a slash at its end, {self.text}/"
            )

    @property
    def _is_folder(self) -> bool:
        return self.text.endswith(os.sep) or os.path.isdir(self.text)

    def of(self, clip: Path, *, codec: str) -> Path:
        """Where the result of a clip goes: that file, or into that folder under the clip's name.

        Makes the folder when it is missing. Raises StorageError unless the result may be written there.
        """
        suffix = CODECS[codec].suffix
        path = Path(self.text, stem_of(clip) + suffix) if self._is_folder else Path(self.text)
        if self._is_folder and sum(stem_of(each) == stem_of(clip) for each in self.clips) > 1:
            raise StorageError(f"{path} would be the result of several clips: run them one by one.")
        self._require_free(path)
        if path.suffix.lower() != suffix:
            fitting = [name for name, each in CODECS.items() if each.suffix == path.suffix.lower()]
            choice = f", or add --codec {' or '.join(fitting)}" if fitting else ""
            raise StorageError(f"{path}: {codec} makes {suffix} files. Name it {path.stem}{suffix}{choice}.")
        _make_folder(path.resolve().parent)
        return path

    def deliver(self, storage: Storage, key: str, path: Path) -> None:
        """Copy a result to its place. Raises StorageError, which says where the result is."""
        try:
            self._require_free(path)  # somebody may have put something there meanwhile
            storage.download(key, path)
        except StorageError as error:
            raise StorageError(f"{error} The result is {storage.display_path(key)}.") from None

    def _require_free(self, path: Path) -> None:
        if not require_replaceable(path):
            return
        if any(clip.exists() and path.samefile(clip) for clip in self.clips):
            raise StorageError(f"{path} is a source, which would be lost. Choose another --output.")
        if not self.overwrite:
            raise StorageError(f"{path} exists. Choose another --output, or replace it with --overwrite.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder {folder} cannot be made: {error.strerror}. Choose another --output.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"The folder {folder} cannot be written to. Choose another --output.")
