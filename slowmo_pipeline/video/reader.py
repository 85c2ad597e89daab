"""Reading: what a video holds (probe) and its frames (read_frames), by one loop, so that both count the same."""

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path

from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.examination import Limits as Limits
from slowmo_pipeline.video.examination import examine, open_within
from slowmo_pipeline.video.fields.arrangement import Handling
from slowmo_pipeline.video.fields.frames import OtherPicturesError, frames_of
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.part import WHOLE, Part, pictures_from
from slowmo_pipeline.video.picture import RgbConverter


def probe(
    path: Path,
    *,
    limits: Limits,
    on_picture: Callable[[int, VideoFrame], None] | None = None,
    interlaced: Handling = "keep",
) -> VideoInfo:
    """Decode a video and tell what it holds, in this process: for files of our own (uploads: see `probe_apart`).

    `on_picture` sees every picture and its number: to compare it.
    Raises UnreadableVideoError, VideoTooLargeError, or OSError if the file cannot be read at all.
    """
    with open_within(path, limits) as video:
        return VideoInfo.model_validate(examine(Part(video, WHOLE), limits, on_picture, interlaced=interlaced))


def read_frames(path: Path, info: VideoInfo, *, only: Collection[int] | None = None) -> Iterator[tuple[int, Frame]]:
    """Yield the frames that `probe` counted, each with its number: upright RGB, (height, width, 3).

    With `only`, those alone that have one of these numbers; all are decoded.
    uint8 (0..255) if `info.depth` is 8, else uint16 (0..65535). Raises UnreadableVideoError where the file does not
    hold what `info` says.
    """
    converter = RgbConverter.of(info)
    changed = UnreadableVideoError(f"{path.name} no longer holds the frames that probing found: probe it again.")
    number = 0
    with open_video(path, max_pixels=info.coded_pixels) as video:
        pictures = _pictures(video, info, changed)
        if info.fields is not None:
            pictures = frames_of(pictures, info.fields.groups, top_first=info.fields.top_first)
        try:
            for picture in pictures:
                if only is None or number in only:
                    yield number, converter.frame(picture)
                number += 1
        except OtherPicturesError:
            raise changed from None
    if number != info.frame_count:
        raise changed


def _pictures(video: OpenVideo, info: VideoInfo, changed: UnreadableVideoError) -> Iterator[VideoFrame]:
    first_tick = info.fields.first_tick if info.fields else info.ticks[0]
    first_frame, start = (info.part.first_frame, info.part.start) if info.part else (0, ())
    found = pictures_from(video, first_frame=first_frame, start=start, tick=first_tick)
    # What follows a part is no change; what follows a whole clip is, and is seen.
    for number, (tick, _, picture) in enumerate(islice(found, info.picture_count if info.part else None)):
        # Frames made of fields have times of their own.
        if info.fields is None and info.ticks[number : number + 1] != (tick,):
            raise changed
        if (picture.width, picture.height) != info.coded_size:
            raise changed
        yield picture
