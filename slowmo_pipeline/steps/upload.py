"""From a local file, or a folder of images, to a registered upload."""

import logging
import os
import stat
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from slowmo_pipeline.errors import DamagedRecordError, SettingsError, StorageError, VideoIdTakenError
from slowmo_pipeline.progress import RunProgress
from slowmo_pipeline.settings import SlowMotionSettings, overlaid, parse_settings, read_sidecar
from slowmo_pipeline.steps.clips import IMAGE_RATE, as_file, named
from slowmo_pipeline.steps.inspect_upload import MAX_SETTINGS_BYTES
from slowmo_pipeline.steps.records import Registered, read_registered
from slowmo_pipeline.steps.video_ids import video_id_for
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.disk_errors import ABSENT, file_size
from slowmo_pipeline.storage.hashing import file_sha256
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import SIDECAR_SUFFIX, VideoKeys, sidecar_key, upload_key
from slowmo_pipeline.video.image_folder import images_in, images_sha256

logger = logging.getLogger(__name__)


def upload_clip(
    storage: Storage, path: Path, progress: RunProgress, *, with_sidecar: bool, image_rate: Fraction = IMAGE_RATE
) -> str:
    """Copy a file to the uploads, unless the same content is there under its name; returns the key.

    A folder of images becomes one lossless file of `image_rate` images a second, named after the folder.

    With `with_sidecar`, the settings file beside it goes first, so that no sensor sees the clip without its settings.
    Raises StorageError when `path` is neither, cannot be read, or has a name that no storage takes, SettingsError for a
    settings file that no run would take, and UnreadableVideoError for images that make no video.
    """
    path, is_folder = named(path), os.path.isdir(path)
    size = None if is_folder else file_size(path)
    if not path.name.isprintable():
        raise StorageError(f"{str(path)!r} cannot be stored under that name. Rename it, to clip{path.suffix} say.")
    if is_folder:
        key = upload_key(f"{path.name}.mkv", sha256=images_sha256(images_in(path), image_rate, progress))
    else:
        key = upload_key(path.name, sha256=file_sha256(path, progress))
    if with_sidecar and (settings := _beside(path)) is not None:
        parse_settings(settings, origin=str(sidecar_of(path)))
        storage.upload(sidecar_of(path), sidecar_key(key))
    entry = storage.stat(key)
    if entry is None or size not in (None, entry.size):
        with as_file(storage, path, image_rate, progress) as file:
            storage.upload(file, key)
    return key


def sidecar_of(path: Path) -> Path:
    """Where the settings of a local file lie, if it has any."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def settings_of(clip: Path, *, defaults: Mapping[str, object], options: Mapping[str, object]) -> SlowMotionSettings:
    """What shall become of a local file: as `options` say, else the settings file beside it, else `defaults`.

    Raises SettingsError.
    """
    return parse_settings(overlaid(defaults, _beside(clip) or {}, options), origin=f"The settings of {clip.name}")


def _beside(clip: Path) -> dict[str, Any] | None:
    """What the settings file beside a local file says; None when there is none.

    Raises SettingsError for what is there and cannot be read as settings: the clip is never taken to have none.
    """
    sidecar = sidecar_of(clip)
    try:
        if not stat.S_ISREG(sidecar.stat().st_mode):
            raise SettingsError(f"{sidecar} is not a file: settings are expected there. Move it away.")
        with sidecar.open("rb") as file:
            data = file.read(MAX_SETTINGS_BYTES + 1)
    except OSError as error:
        if error.errno in ABSENT and not os.path.islink(sidecar):
            return None
        raise SettingsError(
            f"{sidecar} cannot be read: {error.strerror}. Let this user read it, or move it away."
        ) from error
    if len(data) > MAX_SETTINGS_BYTES:
        raise SettingsError(f"{sidecar} has more than the {MAX_SETTINGS_BYTES} bytes allowed: a few settings.")
    return read_sidecar(data, origin=str(sidecar))


def register(storage: Storage, upload: str) -> str:
    """Make an upload known under its video id, which is returned; repeating is harmless.

    Raises VideoIdTakenError when that id is another upload's: none may be taken for the other.
    """
    video_id = video_id_for(storage, upload)
    key, record = VideoKeys(video_id).source, Registered(upload=upload)
    if not storage.create(key, record.to_json()):  # what was found of it since stays
        try:
            known = read_registered(storage, video_id)
        except DamagedRecordError as error:
            logger.warning("%s It is made anew.", error)
            write_record(storage, key, record)
        else:
            if known is None or known.upload != upload:
                other = known.upload if known else f"something that is no record, {storage.display_path(key)}"
                raise VideoIdTakenError(f"The video id {video_id} of {upload} is that of {other}: rename {upload}.")
    return video_id
