"""Taking a video away whole: its upload, its final files, and everything between them."""

from collections.abc import Iterator

from slowmo_pipeline.errors import DamagedRecordError
from slowmo_pipeline.steps.records import read_registered
from slowmo_pipeline.steps.video_ids import uploads_of
from slowmo_pipeline.steps.video_status import unknown
from slowmo_pipeline.storage.base import Entry, Storage
from slowmo_pipeline.storage.keys import VideoKeys, sidecar_key
from slowmo_pipeline.video.writer import CODECS


def objects_of(storage: Storage, video_id: str) -> tuple[Entry, ...]:
    """Every stored object of a video, in the order in which they can go: cut off anywhere, the rest is found again.

    The upload is the first, so that no sensor takes the video up anew, and the record that names it the last.
    Raises UnknownVideoError when there is none.
    """
    keys = VideoKeys(video_id)
    own = sorted(storage.list(keys.prefix), key=lambda entry: (entry.key == keys.source, entry.key))
    finals = {keys.final(codec.suffix) for codec in CODECS.values()}
    others = (*_uploads(storage, video_id), keys.pending, *sorted(finals), *keys.finals)
    found = tuple(filter(None, map(storage.stat, others))) + tuple(own)
    if not found:
        raise unknown(video_id)
    return found


def _uploads(storage: Storage, video_id: str) -> Iterator[str]:
    try:
        registered = read_registered(storage, video_id)
    except DamagedRecordError:
        uploads = uploads_of(storage, video_id)
    else:
        uploads = [registered.upload] if registered else []
    for upload in uploads:
        yield upload
        yield sidecar_key(upload)
