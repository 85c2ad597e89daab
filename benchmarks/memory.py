"""Resident memory of a whole run, summed over its processes, for a short and a long 1080p clip at 2x.

`python -m benchmarks.memory [SECONDS …]` (default: 10 and 60). Exits with 1 when a peak is over the limit.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from slowmo_pipeline.video.binary import ffmpeg_binary

LIMIT_MB = 1500
LOOK_SECONDS = 0.1


def main() -> None:
    lengths = [int(argument) for argument in sys.argv[1:]] or [10, 60]
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            source = generated_clip(Path(folder, f"clip{seconds}.mp4"), seconds)
            peaks[seconds] = peak_of_run(source, Path(folder, f"home{seconds}"))
            print(
                f"1920x1080 at 25 frames/s, {seconds:3} s, 2x: peak {peaks[seconds]:.0f} MB (limit {LIMIT_MB})",
                flush=True,
            )
    if max(peaks.values()) > LIMIT_MB:
        sys.exit(f"The peak of {max(peaks.values()):.0f} MB is over the limit.")


def generated_clip(path: Path, seconds: int) -> Path:
    """A moving test picture with some noise, so that images and encoder have something to do."""
    source = f"testsrc2=size=1920x1080:rate=25:duration={seconds},noise=alls=6:allf=t"
    command = [ffmpeg_binary(), "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "veryfast"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def peak_of_run(source: Path, home: Path) -> float:
    """Peak of the resident memory of all processes of one `slowmo run`, in MB."""
    environment = {**os.environ, "SLOWMO_HOME": str(home)}
    command = [sys.executable, "-m", "slowmo_pipeline", "run", str(source), "--slowdown", "2"]
    peak = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None:
            peak = max(peak, sum(_resident(process, str(home)) for process in psutil.process_iter()))
            time.sleep(LOOK_SECONDS)
    if run.returncode:
        sys.exit(f"slowmo run ended with {run.returncode}.")
    return peak / 1e6


def _resident(process: psutil.Process, home: str) -> int:
    """Resident bytes of a process of that home (the endpoint runs detached, but inherits the environment)."""
    try:
        return int(process.memory_info().rss) if process.environ().get("SLOWMO_HOME") == home else 0
    except (psutil.Error, OSError):
        return 0


if __name__ == "__main__":
    main()
