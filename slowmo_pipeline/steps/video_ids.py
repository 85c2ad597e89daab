"""Which video an upload is.

Its id follows from its key, but for what version 0.1.0 registered: those ids had half the bits, and stay, since results
and partitions hang on them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable

from slowmo_pipeline.errors import DamagedRecordError
from slowmo_pipeline.steps.records import read_registered
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.keys import VIDEOS, earlier_video_id_of, video_id_of


def video_id_for(storage: Storage, upload: str) -> str:
    """The video id of one upload, registered or not."""
    video_id, earlier = video_id_of(upload), earlier_video_id_of(upload)
    try:
        is_earlier = _is_registered(storage, earlier, upload)
    except DamagedRecordError:
        # Whose it was is not known: this upload's, unless that has an id of its own. Registering writes it anew.
        is_earlier = not _is_registered(storage, video_id, upload)
    return earlier if is_earlier else video_id


def uploads_of(storage: Storage, video_id: str) -> list[str]:
    """The uploads that can be those of a video id, where no record tells which one is."""
    uploads = (entry.key for entry in storage.uploads().entries)
    return [key for key in uploads if video_id in (video_id_of(key), earlier_video_id_of(key))]


def video_ids_for(
    storage: Storage, uploads: Collection[str], is_known: Callable[[str, str], bool]
) -> Iterable[tuple[str, str]]:
    """The video id of every upload, in their order: `(upload, video id)`.

    `is_known` tells that a video id was found for an upload before. Where all are, nothing is asked of the storage;
    else one listing of its videos, and a record for each of those uploads that share an id of version 0.1.0.
    """
    sharing = Counter(map(earlier_video_id_of, uploads))
    videos: frozenset[str] | None = None
    for upload in uploads:
        video_id, earlier = video_id_of(upload), earlier_video_id_of(upload)
        if is_known(upload, video_id):
            yield upload, video_id
        elif sharing[earlier] > 1:
            yield upload, video_id_for(storage, upload)
        elif is_known(upload, earlier):
            yield upload, earlier
        else:
            videos = frozenset(storage.folders(VIDEOS)) if videos is None else videos
            yield upload, earlier if earlier in videos else video_id


def _is_registered(storage: Storage, video_id: str, upload: str) -> bool:
    found = read_registered(storage, video_id)
    return found is not None and found.upload == upload
