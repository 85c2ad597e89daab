"""Subtitles that are text, with other times: ffmpeg makes SubRip of any, whose lines of times are written anew.

2
00:00:01,500 --> 00:00:02,750
What is said
"""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import ffmpeg

from slowmo_pipeline.video.binary import run_graph
from slowmo_pipeline.video.container import INPUT_OPTIONS, input_url

MOST_BYTES = 16 * 1024**2
"""Of the text of one stream; a film has a hundredth of that."""

_TIMEOUT_SECONDS = 600

_TIME = r"(\d+):(\d\d):(\d\d),(\d{3})"
_CUE = re.compile(rf"^\d+\n{_TIME} --> {_TIME}.*\n", re.MULTILINE)


def read_subtitles(path: Path, stream: int, folder: Path) -> str:
    """A stream of text as SubRip, on the container's clock. Raises EncodeError when ffmpeg fails."""
    text = folder / f"{stream}.srt"
    # Times as the container has them: by itself ffmpeg moves each file so that its first stream starts at 0.
    graph = ffmpeg.output(
        ffmpeg.input(input_url(path), **INPUT_OPTIONS)[str(stream)],
        f"file:{text.absolute()}",
        copyts=None,
        fs=MOST_BYTES,
        **{"c:s": "srt"},
    )
    run_graph(graph, purpose=f"Reading the subtitles of {path.name}", timeout=_TIMEOUT_SECONDS)
    return text.read_text(encoding="utf-8", errors="replace")


def retimed(subrip: str, at: Callable[[Fraction], Fraction], *, duration: Fraction) -> str:
    """SubRip with each time moved to where `at` has it, both in seconds; what is never shown is left out."""
    parts = _CUE.split(subrip)
    shown: list[str] = []
    for place in range(1, len(parts), 9):
        times, text = parts[place : place + 8], parts[place + 8]
        start, end = (min(max(at(_seconds(time)), Fraction(0)), duration) for time in (times[:4], times[4:]))
        if start < end:
            shown.append(f"{len(shown) + 1}\n{_written(start)} --> {_written(end)}\n{text.strip()}\n\n")
    return "".join(shown)


def _seconds(digits: list[str]) -> Fraction:
    hours, minutes, seconds, thousandths = map(int, digits)
    return Fraction(((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths, 1000)


def _written(time: Fraction) -> str:
    thousandths = round(time * 1000)
    seconds, minutes = thousandths // 1000, thousandths // 60_000
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds % 60:02},{thousandths % 1000:03}"
