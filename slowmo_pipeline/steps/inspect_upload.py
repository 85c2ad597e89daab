"""From an upload to what is known of it: its content, what probing finds, and the settings in force."""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from slowmo_pipeline.errors import DamagedRecordError, SettingsError, UnknownVideoError, UnreadableVideoError
from slowmo_pipeline.planning.plan import Plan
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.settings import SlowMotionSettings, overlaid, parse_settings, read_settings, read_sidecar
from slowmo_pipeline.steps.planning import timeline_of
from slowmo_pipeline.steps.records import FORMATS, Registered, Source, parse_source
from slowmo_pipeline.steps.stage_seconds import note_stage
from slowmo_pipeline.steps.video_ids import uploads_of
from slowmo_pipeline.storage.base import Entry, Storage
from slowmo_pipeline.storage.hashing import file_sha256
from slowmo_pipeline.storage.json_records import read_if_whole, write_record
from slowmo_pipeline.storage.keys import SETTINGS, VideoKeys, sidecar_key
from slowmo_pipeline.video.examination import Limits
from slowmo_pipeline.video.info import INFO_FORMAT, VideoInfo
from slowmo_pipeline.video.part import Asked
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline.video.writer import require_encoder

MAX_SETTINGS_BYTES = 64 * 1024
"""Of a file of settings."""

logger = logging.getLogger(__name__)


def joint_version(upload: Entry, sidecar: Entry | None) -> str:
    """One version for an upload and its sidecar: it changes when either does."""
    return _joined(upload.version, sidecar.version if sidecar else None)


def _joined(upload_version: str, sidecar_version: str | None) -> str:
    return hashlib.sha256(repr((upload_version, sidecar_version)).encode()).hexdigest()[:16]


def unchanged_upload(storage: Storage, source: Source) -> Entry:
    """The upload. Raises UnknownVideoError when it is not the one that was inspected; its sidecar may be another."""
    entry = storage.stat(source.upload)
    if entry is None or _joined(entry.version, source.sidecar_version) != source.version:
        raise UnknownVideoError(
            f"The upload {source.upload} is gone, or another one since it was looked at: materialise raw_video again."
        )
    return entry


def inspect_upload(
    storage: Storage, video_id: str, *, chosen: Mapping[str, Any], progress: Progress
) -> tuple[Source, VideoInfo]:
    """Look at an upload: resolve its settings, hash and probe it if it is new or changed, store what was found.

    What cannot be made of it with these settings is told here, before anything is planned, stored or paid.

    The settings are `chosen` when there are any, else the sidecar if it was written since the last look, else those
    in force, else the sidecar or the defaults: what was said last holds. What it does not say is as `defaults` says.

    Raises UnknownVideoError, UnreadableVideoError, VideoTooLargeError, SettingsError or EncodeError.
    """
    found = _found(storage, video_id, chosen=chosen, progress=progress)
    source, info = found.source, found.info
    if not found.is_as_before:
        require_encoder(
            info=info,
            frame_rate=timeline_of(info, source.settings).frame_rate,
            codec=source.settings.codec,
            crf=source.settings.crf,
            threads=source.settings.encoder_threads,
        )
    keys = VideoKeys(video_id)
    write_record(storage, keys.info, info)
    write_record(storage, keys.source, source)
    if found.seconds is not None:
        note_stage(storage, video_id, "probe", of=source.sha256, seconds=found.seconds)
    return source, info


def probe_upload(storage: Storage, video_id: str, *, progress: Progress) -> VideoInfo:
    """What probing finds in an upload as it lies there now; nothing is stored, and nothing done that was done before.

    Raises UnknownVideoError, UnreadableVideoError, VideoTooLargeError or SettingsError.
    """
    return _found(storage, video_id, chosen={}, progress=progress).info


@dataclass(frozen=True)
class _Found:
    """What an upload is and holds."""

    source: Source
    info: VideoInfo
    is_as_before: bool
    """Whether just this was stored by the last look."""
    seconds: float | None
    """What reading it took; None when it was not probed."""


def _found(storage: Storage, video_id: str, *, chosen: Mapping[str, Any], progress: Progress) -> _Found:
    upload, before = _known(storage, video_id)
    entry, sidecar = storage.stat(upload), storage.stat(sidecar_key(upload))
    if entry is None:
        raise UnknownVideoError(
            f"The upload {storage.display_path(upload)} is gone. Put it back, or delete its partition."
        )
    version = joint_version(entry, sidecar)
    settings = _resolve(storage, chosen, before, sidecar)
    known = read_if_whole(storage, VideoInfo, VideoKeys(video_id).info, torn="The upload is probed anew.")
    formats_before = _formats_before(storage, video_id, before, settings)
    if known and known.format < INFO_FORMAT and formats_before == FORMATS:
        known = None  # what the plan is to be made from was not looked for then
    looked_alike = before is not None and _looked_for(before.settings) == _looked_for(settings)
    began, seconds = time.monotonic(), None
    if before and before.version == version and known and looked_alike:
        sha256, info = before.sha256, known
    else:
        with storage.local_upload(entry) as path:
            sha256 = file_sha256(path, progress)
            if before and before.sha256 == sha256 and known and looked_alike:
                info = known
            else:
                info = probe_with(path, settings, progress)
                seconds = time.monotonic() - began
        now = storage.stat(upload)
        if now is None or now.version != entry.version:
            raise UnreadableVideoError(f"The upload {upload} changed while it was read: run again once it is complete.")
    source = Source(
        upload=upload,
        version=version,
        sidecar_version=sidecar.version if sidecar else None,
        sha256=sha256,
        settings=settings,
        formats=formats_before if before and before.sha256 == sha256 else FORMATS,
        reading=info.reading,
    )
    is_as_before = before is not None and (before.version, before.settings) == (version, settings) and info == known
    return _Found(source, info, is_as_before, seconds)


def _known(storage: Storage, video_id: str) -> tuple[str, Source | None]:
    """The key of the upload, and what the last look found. Of a torn record the upload is found by its video id."""
    key = VideoKeys(video_id).source
    try:
        data, where = storage.read(key), storage.display_path(key)
    except FileNotFoundError:
        raise UnknownVideoError(
            f"The video {video_id} is not registered. Put its file into {storage.display_path('uploads')}, or run "
            "`slowmo upload FILE`; its video id follows from the file's name."
        ) from None
    try:
        registered = Registered.from_json(data, where=where)
    except DamagedRecordError as error:
        meant = uploads_of(storage, video_id)
        if len(meant) != 1:
            raise DamagedRecordError(
                f"{error} {len(meant)} uploads can be that of {video_id}: put it back, or run the right one again."
            ) from error
        [upload] = meant
        logger.warning("%s It is made anew from %s, with the settings beside it or the defaults.", error, upload)
        return upload, None
    try:
        return registered.upload, parse_source(data, where=where)
    except DamagedRecordError as error:
        logger.warning("%s It is made anew.", error)
        return registered.upload, None


def _resolve(
    storage: Storage, chosen: Mapping[str, Any], before: Source | None, sidecar: Entry | None
) -> SlowMotionSettings:
    if chosen:
        return parse_settings(overlaid(defaults(storage), chosen), origin="The run's settings")
    if sidecar and (before is None or before.sidecar_version != sidecar.version):
        told = read_sidecar(_small(storage, sidecar), origin=sidecar.key)
        return parse_settings(overlaid(defaults(storage), told), origin=sidecar.key)
    return before.settings if before else parse_settings(defaults(storage), origin=SETTINGS)


def defaults(storage: Storage) -> dict[str, Any]:
    """What the storage's own settings file says, checked; names that it does not say are missing."""
    entry = storage.stat(SETTINGS)
    if entry is None:
        return {}
    values = read_settings(_small(storage, entry), origin=SETTINGS)
    parse_settings(values, origin=SETTINGS)
    return values


def _small(storage: Storage, entry: Entry) -> bytes:
    if entry.size > MAX_SETTINGS_BYTES:
        raise SettingsError(f"{entry.key} has {entry.size} bytes, allowed are {MAX_SETTINGS_BYTES}: a few settings.")
    return storage.read(entry.key)


def probe_with(path: Path, settings: SlowMotionSettings, progress: Progress, *, decode: bool = True) -> VideoInfo:
    """What probing finds in a local file for these settings: the part that they name, within their limits.

    Without `decode`, packets tell what they can, unless the settings take a look at the pictures.

    Raises UnreadableVideoError, VideoTooLargeError or SettingsError.
    """
    limits, part = limits_of(settings), Asked(settings.from_, settings.to)
    return probe_apart(
        path,
        limits=limits,
        part=part,
        interlaced=settings.interlaced,
        cuts=settings.cuts != "off",
        duplicates=settings.duplicates == "replace",
        decode=decode or settings.cuts != "off" or settings.duplicates == "replace",
        on_frame=lambda number: progress("probe", number, 0, "frames"),
    )


def _looked_for(settings: SlowMotionSettings) -> tuple[object, ...]:
    """What of the settings decides what probing finds."""
    part, finds_cuts = (settings.from_, settings.to), settings.cuts != "off"
    return limits_of(settings), part, settings.interlaced, finds_cuts, settings.duplicates


def _formats_before(
    storage: Storage, video_id: str, before: Source | None, settings: SlowMotionSettings
) -> Literal[1, 2]:
    """Those of the content that was there before: the first ones where it was planned so, and is wanted as it was."""
    if before is None or before.formats == FORMATS or before.settings.plan_settings != settings.plan_settings:
        return FORMATS
    planned = read_if_whole(storage, Plan, VideoKeys(video_id).plan(before.plan).plan, torn="It is made anew.")
    return FORMATS if planned is None else before.formats


def limits_of(settings: SlowMotionSettings) -> Limits:
    """How large an upload may be."""
    return Limits(
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        max_seconds=settings.max_seconds,
    )
