"""Reading: what a video holds (probe) and its frames (read_frames), by one loop, so that both count the same."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.container import OpenVideo, open_video
from slowmo_pipeline.video.decoding import Losses, TimedPicture, timed_pictures
from slowmo_pipeline.video.examination import Limits as Limits
from slowmo_pipeline.video.examination import examine, open_within
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.part import WHOLE, Part, sought_pictures
from slowmo_pipeline.video.picture import RgbConverter
from slowmo_pipeline.video.starts import Start


def probe(path: Path, *, limits: Limits, on_picture: Callable[[int, VideoFrame], None] | None = None) -> VideoInfo:
    """Decode a video once and tell what it holds, in this process: for files of our own (uploads: see `probe_apart`).

    `on_picture` sees every frame's number and its decoded picture: to compare it, or to look for scene cuts.
    Raises UnreadableVideoError, VideoTooLargeError, or OSError if the file cannot be read at all.
    """
    with open_within(path, limits) as video:
        return VideoInfo.model_validate(examine(Part(video, WHOLE), limits, on_picture))


def read_frames(path: Path, info: VideoInfo) -> Iterator[tuple[int, Frame]]:
    """Yield the frames that `probe` counted, each with its number: upright RGB, (height, width, 3).

    uint8 (0..255) if `info.depth` is 8, else uint16 (0..65535). Raises UnreadableVideoError where the file does not
    hold what `info` says.
    """
    converter = RgbConverter.of(info)
    changed = UnreadableVideoError(f"{path.name} no longer holds the frames that probing found: probe it again.")
    number = 0
    with open_video(path, max_pixels=info.coded_pixels) as video:
        for found in _pictures(video, info):
            if number == info.frame_count and info.part is not None:
                return
            if info.ticks[number : number + 1] != (found.tick,):
                raise changed
            if (found.picture.width, found.picture.height) != info.coded_size:
                raise changed
            yield number, converter.frame(found.picture)
            number += 1
    if number != info.frame_count:
        raise changed


def _pictures(video: OpenVideo, info: VideoInfo) -> Iterator[TimedPicture]:
    if info.part is None:
        return timed_pictures(video, Losses())
    if info.part.start:
        return sought_pictures(video, Losses(), Start(*info.part.start), info.ticks[0])
    return islice(timed_pictures(video, Losses()), info.part.first_frame, None)
