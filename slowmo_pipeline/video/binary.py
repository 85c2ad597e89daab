"""The only door to the ffmpeg binary: finding it, feeding it, and keeping its last words."""

import logging
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import ffmpeg
import imageio_ffmpeg

from slowmo_pipeline.errors import EncodeError, EncoderKilledError

_TAIL_BYTES = 2000
_SIGNALS_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

_log = logging.getLogger(__name__)


def ffmpeg_binary() -> str:
    """The binary that FFMPEG_BINARY names, else the one that imageio-ffmpeg brings, else the one on PATH.

    Raises EncodeError when there is none.
    """
    named = os.environ.get("FFMPEG_BINARY")
    if named:
        found = shutil.which(named)
        if found is None:
            raise EncodeError(f"FFMPEG_BINARY = {named!r} is no program that can be run: correct it or unset it.")
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise EncodeError("No ffmpeg was found: install one and let FFMPEG_BINARY name it.") from None


def encoders() -> set[str]:
    """Names of the encoders that the binary has. Raises EncodeError when it does not run."""
    try:
        told = subprocess.run(
            [ffmpeg_binary(), "-hide_banner", "-encoders"], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EncodeError(f"{ffmpeg_binary()} does not run: {error}. Let FFMPEG_BINARY name another.") from error
    # " V....D libx264              libx264 H.264 / …", below a line of dashes
    return {line.split()[1] for line in told.stdout.partition("------")[2].splitlines() if line.strip()}


def generous_timeout(duration: Fraction) -> float:
    """Seconds that even a slow machine does not need for sound and text: it makes them faster than they play."""
    return float(120 + duration)


def run_graph(graph: Any, *, purpose: str, stdin: Iterable[Any] = (), timeout: float | None = None) -> None:
    """Run an ffmpeg-python graph to its end and write the buffers of `stdin` to its standard input.

    Raises EncodeError that begins with `purpose` and ends with what ffmpeg said, if ffmpeg fails or needs more than
    `timeout` seconds after its input has ended, and EncoderKilledError if something ended it from outside. Whatever
    happens, no ffmpeg is left running.
    """
    options = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]
    command = ffmpeg.compile(graph, cmd=[ffmpeg_binary(), *options], overwrite_output=True)
    _log.info("%s: %s", purpose, shlex.join(command))
    # A file, not a pipe: nobody has to empty it while frames are written.
    with tempfile.TemporaryFile() as words:
        try:
            code = _exit_code(command, stdin, words.fileno(), timeout)
        except subprocess.TimeoutExpired:
            raise EncodeError(f"{purpose}: ffmpeg did not end within {timeout:.0f} seconds. {_tail(words)}") from None
        if -code in _SIGNALS_FROM_OUTSIDE:
            name = signal.Signals(-code).name
            raise EncoderKilledError(f"{purpose}: ffmpeg was ended by {name}. Run again, if need be with more memory.")
        if code != 0:
            raise EncodeError(f"{purpose}: ffmpeg ended with code {code}. It said: {_tail(words)}")


def _exit_code(command: list[str], stdin: Iterable[Any], stderr: int, timeout: float | None) -> int:
    # Unbuffered: closing a buffer that ffmpeg never read would raise once more.
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": stderr, "bufsize": 0}
    with subprocess.Popen(command, **pipes) as process:
        try:
            _feed(process, stdin)
            return process.wait(timeout)
        finally:
            process.kill()


def _feed(process: "subprocess.Popen[bytes]", buffers: Iterable[Any]) -> None:
    if process.stdin is None:
        raise ValueError("the process was started without a pipe to its standard input")
    try:
        for buffer in buffers:
            left = memoryview(buffer).cast("B")
            while left:
                left = left[process.stdin.write(left) :]
        process.stdin.close()
    except BrokenPipeError:
        # ffmpeg died first; its exit code and its last words say why.
        _log.debug("ffmpeg closed its standard input early")


def _tail(words: Any) -> str:
    end = words.seek(0, os.SEEK_END)
    words.seek(max(0, end - _TAIL_BYTES))
    text: str = words.read().decode("utf-8", "replace").strip()
    return text or "(nothing)"
