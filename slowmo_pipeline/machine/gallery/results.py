"""Which files the gallery serves: final videos, their reports and posters, each named by a video's record.

Nothing else of the storage has an address here, whatever lies in it and whatever is asked for.
"""

from pathlib import PurePosixPath

from markupsafe import Markup

from slowmo_pipeline.steps.records import Final, read_final_record
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import read_if_whole
from slowmo_pipeline.storage.keys import FINALS, VideoKeys, is_video_id
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.writer import CODECS

REPORT = "text/html; charset=utf-8"
_POSTER = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}">'
    '<image href="data:image/jpeg;base64,{2}" width="{0}" height="{1}" preserveAspectRatio="xMinYMid slice"/></svg>'
)
_KINDS = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska", ".html": REPORT}


def content_type_of(key: str) -> str:
    """What a browser takes a result for; by its name, which this program gave it."""
    return _KINDS[PurePosixPath(key).suffix]


def plays(key: str) -> bool:
    """Whether browsers show such a video in a page."""
    return key.endswith(".mp4")


def result_named(storage: Storage, name: str) -> str | None:
    """The key of a result by the name that it has beside the others; None for what no record names, or is gone."""
    video_id = PurePosixPath(name).stem
    final = _final(storage, video_id)
    if final is None:
        return None
    key = FINALS + name
    is_named = key in (video_of(video_id, final), VideoKeys(video_id).finals[1])
    return key if is_named and storage.stat(key) else None


def video_of(video_id: str, final: Final) -> str | None:
    """The key of a final video; None where a record that was edited names anything else."""
    return final.key if final.key in {VideoKeys(video_id).final(codec.suffix) for codec in CODECS.values()} else None


def poster_of(storage: Storage, video_id: str) -> Markup | None:
    """An SVG that shows the first of the frames in a finished video's filmstrip; None when there is none."""
    final = _final(storage, video_id)
    info = final and read_if_whole(storage, VideoInfo, VideoKeys(video_id).info, torn="Its poster is not shown.")
    return _POSTER.format(info.width, info.height, final.filmstrip) if final and info and final.filmstrip else None


def _final(storage: Storage, video_id: str) -> Final | None:
    return read_final_record(storage, video_id) if is_video_id(video_id) else None
