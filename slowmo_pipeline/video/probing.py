"""Probing an upload in a process of its own: neither its memory nor a crash of its decoder is this one's."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from slowmo_pipeline.child_python import running
from slowmo_pipeline.errors import SettingsError, UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.record import Record
from slowmo_pipeline.video.examination import Limits
from slowmo_pipeline.video.fields.arrangement import Handling
from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.memory import PASSED
from slowmo_pipeline.video.part import WHOLE, Asked

_ERRORS = {error.__name__: error for error in (SettingsError, UnreadableVideoError, VideoTooLargeError)}


class _Refused(Record):
    error: Literal["SettingsError", "UnreadableVideoError", "VideoTooLargeError"]
    message: str


class _Found(Record):
    """What the process tells in the end."""

    info: VideoInfo | None = None
    refused: _Refused | None = None


def probe_apart(
    path: Path,
    *,
    limits: Limits,
    part: Asked = WHOLE,
    interlaced: Handling = "auto",
    decode: bool = True,
    cuts: bool = False,
    duplicates: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> VideoInfo:
    """Decode a part of an upload, in another process, and tell what it holds.

    `on_frame` is told how many pictures so far, anew when they are decoded again: what may be interlaced is, and what
    is a third time with `cuts` or `duplicates`. With `cuts` each gap is scored for a scene cut, with `duplicates`
    repeated frames are looked for. Without `decode`, packets tell what they can, and damage is not noticed.

    That process may take 512 MB to open the file, then 64 bytes more a pixel and 256 for each frame allowed.
    What passes opens again in this process with as little. On macOS nothing bounds it.
    Raises UnreadableVideoError, VideoTooLargeError, SettingsError for a part that is not there, or OSError if the file
    cannot be read at all.
    """
    with path.open("rb"):
        pass
    wanted = {
        "limits": asdict(limits),
        "part": part.texts,
        "interlaced": interlaced,
        "decode": decode,
        "cuts": cuts,
        "duplicates": duplicates,
    }
    command = running("slowmo_pipeline.video.probing_process", str(path.absolute()), json.dumps(wanted))
    # One arena, one thread: each reserves address space for itself, which would count as taken.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
    # A session of its own: Ctrl-C ends this process, which ends that one.
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,  # which the kernel closes with this process, SIGKILL included
            stdout=subprocess.PIPE,
            stderr=words,
            start_new_session=True,
        ) as process,
    ):
        try:
            told = _last_line(process.stdout or (), on_frame)
            code = process.wait()
        finally:
            process.kill()
        if code != 0:
            words.seek(0)
            raise _failure(path.name, code, words.read().decode("utf-8", "replace"))
    found = _Found.from_json(told, where=f"What looking at {path.name} told")
    if found.refused is not None:
        raise _ERRORS[found.refused.error](found.refused.message)
    if found.info is None:
        raise RuntimeError(f"Looking at {path.name} told nothing.")
    return found.info


def _last_line(lines: Iterable[bytes], on_frame: Callable[[int], None] | None) -> bytes:
    line = b""
    for line in lines:
        if on_frame is not None and line[:1].isdigit():
            on_frame(int(line))
    return line


def _failure(name: str, code: int, words: str) -> Exception:
    if code == PASSED:
        return VideoTooLargeError(
            f"{name} takes too much memory: its index is larger than that of any long clip, or it is damaged. Put its "
            "first video and sound stream into a new file."
        )
    if code == -signal.SIGKILL:
        return VideoTooLargeError(
            f"{name}: looking at it was ended by SIGKILL. Run again, if need be with more memory."
        )
    if code < 0:
        return UnreadableVideoError(
            f"{name} is damaged: its decoder was ended by {signal.Signals(-code).name}. Convert it to H.264 first."
        )
    return RuntimeError(f"Looking at {name} ended with code {code}: {words.strip()}")
