"""Reading: what a video holds (probe) and its frames (read_frames), by one loop, so that both count the same."""

from collections.abc import Callable, Iterator
from pathlib import Path

from av.video.frame import VideoFrame

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.video.container import open_video
from slowmo_pipeline.video.decoding import Losses, timed_pictures
from slowmo_pipeline.video.examination import Limits as Limits
from slowmo_pipeline.video.examination import examine, open_within
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.picture import RgbConverter


def probe(path: Path, *, limits: Limits, on_picture: Callable[[int, VideoFrame], None] | None = None) -> VideoInfo:
    """Decode a video once and tell what it holds, in this process: for files of our own (uploads: see `probe_apart`).

    `on_picture` sees every frame's number and its decoded picture: to compare it, or to look for scene cuts.
    Raises UnreadableVideoError, VideoTooLargeError, or OSError if the file cannot be read at all.
    """
    with open_within(path, limits) as video:
        return VideoInfo.model_validate(examine(video, limits, on_picture))


def read_frames(path: Path, info: VideoInfo) -> Iterator[tuple[int, Frame]]:
    """Yield the frames that `probe` counted, each with its number: upright RGB, (height, width, 3).

    uint8 (0..255) if `info.depth` is 8, else uint16 (0..65535). Raises UnreadableVideoError where the file does not
    hold what `info` says.
    """
    converter = RgbConverter.of(info)
    changed = UnreadableVideoError(f"{path.name} no longer holds the frames that probing found: probe it again.")
    number = 0
    with open_video(path, max_pixels=info.coded_pixels) as video:
        for tick, picture in timed_pictures(video, Losses()):
            if info.ticks[number : number + 1] != (tick,) or (picture.width, picture.height) != info.coded_size:
                raise changed
            yield number, converter.frame(picture)
            number += 1
    if number != info.frame_count:
        raise changed
