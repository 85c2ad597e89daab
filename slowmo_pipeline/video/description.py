"""What libav says of a file in words: PyAV hands on some of it in no other way.

Stream #0:0(eng): Video: h264 (High), yuv420p(progressive), 160x120, 24 fps, 24 tbr, 1k tbn (default)
  Side data:
    Frame Cropping: 20/20/10/10
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

from slowmo_pipeline.video.container import OpenVideo

_STREAM = re.compile(r"^ +Stream #0:(\d+)", re.MULTILINE)


def described(video: OpenVideo) -> str:
    """The lines about the stream that is used."""
    with heard(av.logging.INFO):
        everything = video.container.dumps_format()  # type: ignore[attr-defined]  # forgotten in PyAV's hints
    parts = _STREAM.split(everything)
    [lines] = [text for index, text in zip(parts[1::2], parts[2::2], strict=True) if int(index) == video.stream.index]
    return lines


@contextmanager
def heard(level: int) -> Iterator[list[str]]:
    """Collect what libav says in this thread until the end of the context; by itself PyAV keeps it quiet."""
    said: list[str] = []
    before, skipped = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(level)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs:
            yield said
    finally:
        said.extend(text for _, _, text in logs)
        av.logging.set_level(before)
        av.logging.set_skip_repeated(skipped)
