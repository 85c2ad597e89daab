"""From an upload to what is known of it: its content, what probing finds, and the settings in force."""

import hashlib
from collections.abc import Mapping
from typing import Any

from slowmo_pipeline.digest import file_sha256
from slowmo_pipeline.errors import SettingsError, StorageError, UnknownVideoError, UnreadableVideoError
from slowmo_pipeline.keys import SETTINGS, VideoKeys, sidecar_key
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.settings import SlowMotionSettings, parse_settings, read_sidecar
from slowmo_pipeline.steps.records import Source, read_info
from slowmo_pipeline.storage import Entry, Storage
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.reader import Limits, probe

_MAX_SETTINGS_BYTES = 64 * 1024


def joint_version(upload: Entry, sidecar: Entry | None) -> str:
    """One version for an upload and its sidecar: it changes when either does."""
    return _joined(upload.version, sidecar.version if sidecar else None)


def _joined(upload_version: str, sidecar_version: str | None) -> str:
    return hashlib.sha256(repr((upload_version, sidecar_version)).encode()).hexdigest()[:16]


def check_unchanged(storage: Storage, source: Source) -> None:
    """Raise UnknownVideoError when the upload is not the one that `look` saw; its sidecar may be another."""
    entry = storage.upload_entry(source.upload)
    if entry is None or _joined(entry.version, source.sidecar_version) != source.version:
        raise UnknownVideoError(
            f"The upload {source.upload} is gone, or another one since it was looked at: materialise raw_video again."
        )


def look(storage: Storage, video_id: str, *, chosen: Mapping[str, Any], progress: Progress) -> tuple[Source, VideoInfo]:
    """Look at an upload: resolve its settings, hash and probe it if it is new or changed, store what was found.

    The settings are `chosen` when there are any, else the sidecar if it was written since the last look, else those
    in force, else the sidecar or the defaults: what was said last holds. What it does not say is as `defaults` says.

    Raises UnknownVideoError, UnreadableVideoError, VideoTooLargeError or SettingsError.
    """
    keys = VideoKeys(video_id)
    stored = storage.read_json(keys.source)
    if stored is None:
        raise UnknownVideoError(
            f"The video {video_id} is not registered. Put its file into {storage.location('uploads')}, or run "
            "`slowmo upload FILE`; its video id follows from the file's name."
        )
    upload = stored["upload"]
    before = Source.from_json(stored) if "sha256" in stored else None
    entry, sidecar = storage.upload_entry(upload), storage.upload_entry(sidecar_key(upload))
    if entry is None:
        raise UnknownVideoError(f"The upload {storage.location(upload)} is gone. Put it back, or delete its partition.")
    version = joint_version(entry, sidecar)
    settings = _resolve(storage, chosen, before, sidecar)
    known = _stored_info(storage, video_id)
    same_limits = before is not None and limits_of(before.settings) == limits_of(settings)
    if before and before.version == version and known and same_limits:
        sha256, info = before.sha256, known
    else:
        with storage.local_file(upload) as path:
            sha256 = file_sha256(path, progress)
            if before and before.sha256 == sha256 and known and same_limits:
                info = known
            else:
                info = probe(
                    path,
                    limits=limits_of(settings),
                    on_picture=lambda number, picture: progress("probe", number + 1, 0, "frames"),
                )
        if storage.upload_entry(upload) != entry:
            raise UnreadableVideoError(f"The upload {upload} changed while it was read: run again once it is complete.")

    source = Source(upload, version, sidecar.version if sidecar else None, sha256, settings)
    storage.write_json(keys.info, info.to_json())
    storage.write_json(keys.source, source.to_json())
    return source, info


def _stored_info(storage: Storage, video_id: str) -> VideoInfo | None:
    try:
        return read_info(storage, video_id)
    except (UnknownVideoError, StorageError):
        return None  # never probed, or by a version that kept other things: probed anew


def _resolve(
    storage: Storage, chosen: Mapping[str, Any], before: Source | None, sidecar: Entry | None
) -> SlowMotionSettings:
    if chosen:
        return parse_settings({**defaults(storage), **chosen}, origin="The run's settings")
    if sidecar and (before is None or before.sidecar_version != sidecar.version):
        return parse_settings({**defaults(storage), **_read_settings(storage, sidecar)}, origin=sidecar.key)
    return before.settings if before else parse_settings(defaults(storage), origin=SETTINGS)


def defaults(storage: Storage) -> dict[str, Any]:
    """What the storage's own settings file says, checked; names that it does not say are missing."""
    entry = storage.stat(SETTINGS)
    if entry is None:
        return {}
    values = _read_settings(storage, entry)
    parse_settings(values, origin=SETTINGS)
    return values


def _read_settings(storage: Storage, entry: Entry) -> dict[str, Any]:
    if entry.size > _MAX_SETTINGS_BYTES:
        raise SettingsError(f"{entry.key} has {entry.size} bytes, allowed are {_MAX_SETTINGS_BYTES}: a few settings.")
    return read_sidecar(storage.read(entry.key), origin=entry.key)


def limits_of(settings: SlowMotionSettings) -> Limits:
    """How large an upload may be."""
    return Limits(
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        max_seconds=settings.max_seconds,
    )
