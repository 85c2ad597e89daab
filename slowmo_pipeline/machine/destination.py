"""Where copies of results go. All is checked before any work: hours never end in a refusal."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from slowmo_pipeline.errors import StorageError, UsageError
from slowmo_pipeline.machine.telling_names import telling_ending
from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.steps.clips import stem_of
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.disk_errors import require_replaceable
from slowmo_pipeline.video.writer import CODECS


@dataclass(frozen=True)
class Copies(ABC):
    """The copies of one command."""

    clips: tuple[Path, ...]
    overwrite: bool
    elsewhere: ClassVar[str]
    """The next step for whoever cannot have one there."""

    def of(self, clip: Path, settings: SlowMotionSettings) -> Path:
        """Where the result of a clip goes.

        Makes the folder when it is missing. Raises StorageError unless the result may be written there.
        """
        suffix = CODECS[settings.codec].suffix
        path = self._path(clip, settings, suffix)
        if sum(self._may_share(clip, each) for each in self.clips) > 1:
            raise StorageError(f"{path} would be the result of several clips: run them one by one.")
        self._require_free(path)
        if path.suffix.lower() != suffix:
            fitting = [name for name, each in CODECS.items() if each.suffix == path.suffix.lower()]
            choice = f", or add --codec {' or '.join(fitting)}" if fitting else ""
            raise StorageError(f"{path}: {settings.codec} makes {suffix} files. Name it {path.stem}{suffix}{choice}.")
        self._make_folder(path.resolve().parent)
        return path

    def deliver(self, storage: Storage, key: str, path: Path) -> None:
        """Copy a result to its place. Raises StorageError, which says where the result is."""
        try:
            self._require_free(path)  # somebody may have put something there meanwhile
            storage.download(key, path)
        except StorageError as error:
            raise StorageError(f"{error} The result is {storage.display_path(key)}.") from None

    @abstractmethod
    def _path(self, clip: Path, settings: SlowMotionSettings, suffix: str) -> Path:
        """Where it goes, if it may."""

    @abstractmethod
    def _may_share(self, clip: Path, other: Path) -> bool:
        """Whether two clips, or one that was given twice, could have one path for their results."""

    def _require_free(self, path: Path) -> None:
        if not require_replaceable(path):
            return
        if any(clip.exists() and path.samefile(clip) for clip in self.clips):
            raise StorageError(f"{path} is a source, which would be lost. {self.elsewhere}.")
        if not self.overwrite:
            raise StorageError(f"{path} exists. {self.elsewhere}, or replace it with --overwrite.")

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The folder {folder} cannot be made: {error.strerror}. {self.elsewhere}.") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StorageError(f"The folder {folder} cannot be written to. {self.elsewhere}.")


@dataclass(frozen=True)
class Output(Copies):
    """What `--output` says: a file, or a folder that takes results under the names of their clips.

    Raises UsageError for one file where there are several clips.
    """

    text: str
    elsewhere = "Choose another --output"

    def __post_init__(self) -> None:  # noqa: D105
        if not self.text:
            raise UsageError("--output names nothing: give a file, or a folder with a slash at its end.")
        if len(self.clips) > 1 and not self._is_folder:
            raise UsageError(
                f"--output {self.text} names one file: give one clip, or a folder with a slash at its end, {self.text}/"
            )

    @property
    def _is_folder(self) -> bool:
        return self.text.endswith(os.sep) or os.path.isdir(self.text)

    def _path(self, clip: Path, settings: SlowMotionSettings, suffix: str) -> Path:
        return Path(self.text, stem_of(clip) + suffix) if self._is_folder else Path(self.text)

    def _may_share(self, clip: Path, other: Path) -> bool:
        return self._is_folder and stem_of(clip) == stem_of(other)


class Beside(Copies):
    """What `--beside` says: each result beside its clip, under a name that tells what was made of it."""

    elsewhere = "Put the result elsewhere with --output"

    def _path(self, clip: Path, settings: SlowMotionSettings, suffix: str) -> Path:
        return clip.with_name(stem_of(clip) + telling_ending(settings) + suffix)

    def _may_share(self, clip: Path, other: Path) -> bool:
        return clip.absolute().with_name(stem_of(clip)) == other.absolute().with_name(stem_of(other))
