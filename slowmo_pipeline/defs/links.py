"""Links of Dagster's pages to results: what is reported under them opens with a click."""

from urllib.parse import quote

import dagster as dg

from slowmo_pipeline.environment import gallery_url
from slowmo_pipeline.notifications import console_url
from slowmo_pipeline.storage.base import Storage

Place = dg.UrlMetadataValue | dg.PathMetadataValue


def places(storage: Storage, *, video: str, report: str) -> dict[str, Place]:
    """Metadata of a final video and its report, by their keys.

    They open in the gallery or, in a bucket, in AWS's console; a signed link would expire before it is followed. In a
    folder, `path` tells where the video lies. No browser follows a link to a file: without a gallery, paths can only
    be copied.
    """
    links: dict[str, Place] = {name: _link(storage, key) for name, key in (("video", video), ("report", report))}
    place = storage.display_path(video)
    return links if console_url(place) else {**links, "path": dg.MetadataValue.path(place)}


def _link(storage: Storage, key: str) -> Place:
    place, gallery = storage.display_path(key), gallery_url()
    address = f"{gallery.rstrip('/')}/{quote(key)}" if gallery else console_url(place)
    return dg.MetadataValue.url(address) if address else dg.MetadataValue.path(place)
