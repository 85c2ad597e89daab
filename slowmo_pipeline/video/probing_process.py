"""The process that looks at one upload, which `probing.py` starts with its path and what to look for as JSON.

Writes to stdout the number of frames so far, a line for each frame, and as the last line what was found or why not.
"""

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from av.video.frame import VideoFrame

from slowmo_pipeline.errors import SettingsError, UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.video.container import OpenVideo
from slowmo_pipeline.video.cuts import CUT_THRESHOLD, CutScorer
from slowmo_pipeline.video.duplicates import repeated_frames
from slowmo_pipeline.video.examination import Limits, examine, open_within, survey
from slowmo_pipeline.video.memory import MemoryCeiling
from slowmo_pipeline.video.part import Asked, Part, seek_frame
from slowmo_pipeline.video.starts import NoStartError

_INDEX_BYTES = 512 * 1024**2
"""Measured for 4 hours of 60 frames a second: 85 MB with two sound tracks in MP4, 228 MB with eight."""

_BYTES_PER_PIXEL = 64
"""For pictures that a decoder keeps. Measured for 8192x4320: up to 19, of H.265 in 10 bits."""

_BYTES_PER_FRAME = 256
"""For the time of a frame, up to the JSON that tells it."""


def main() -> None:
    """Look, and tell."""
    path, told = Path(sys.argv[1]), json.loads(sys.argv[2])
    limits, asked = Limits(**told["limits"]), Asked.parse(*told["part"])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    looks_for_likeness = told["cuts"] or told["duplicates"]
    if looks_for_likeness:
        CutScorer()  # before the ceiling: its libraries reserve address space that is no upload's
    ceiling = MemoryCeiling(_INDEX_BYTES)

    def decoded(video: OpenVideo) -> dict[str, object]:
        part = Part(video, asked, seek_frame(path, asked, max_pixels=limits.max_pixels))
        looks = _Looks(scores=looks_for_likeness)
        info = examine(part, limits, looks, interlaced=told["interlaced"], shows_frames=looks_for_likeness)
        scores = looks.scorer.scores() if looks.scorer else []
        if told["cuts"]:
            info["cut_scores"] = [round(100 * score) for score in scores]
        if looks.scorer and told["duplicates"]:
            cuts = [gap for gap, score in enumerate(scores) if score >= CUT_THRESHOLD]
            info["duplicates"] = repeated_frames(looks.scorer.motions(), cuts)
        return info

    try:
        with open_within(path, limits) as video:
            ceiling.hold()
            pixels = video.stream.width * video.stream.height
            ceiling.lift(_BYTES_PER_PIXEL * pixels + _BYTES_PER_FRAME * limits.max_frames)
            info = None
            if told["decode"]:
                info = decoded(video)
            else:
                with suppress(NoStartError), open_within(path, limits) as again:
                    info = survey(video, again, asked, limits, interlaced=told["interlaced"])
        if info is None:  # the packets that told too little are read
            with open_within(path, limits) as video:
                info = decoded(video)
        found: dict[str, object] = {"info": info}
    except (SettingsError, UnreadableVideoError, VideoTooLargeError) as error:
        found = {"refused": {"error": type(error).__name__, "message": str(error)}}
    ceiling.hold()
    print(json.dumps(found), flush=True)


def _end_with_parent() -> None:
    """End this process with the one that started it and never writes: the kernel closes the pipe, SIGKILL included."""
    os.read(0, 1)
    os._exit(1)


class _Looks:
    """What is done with each picture: it is counted, and held against the one before it."""

    def __init__(self, *, scores: bool) -> None:
        self._scores = scores
        self.scorer: CutScorer | None = None
        """Has seen what was shown last, if pictures were shown more than once."""

    def __call__(self, number: int, picture: VideoFrame) -> None:
        if self._scores and number == 0:
            self.scorer = CutScorer()
        if self.scorer:
            self.scorer.add(picture)
        os.write(1, b"%d\n" % (number + 1))
