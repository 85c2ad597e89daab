"""Peak memory of whoever handles chunks of 3840x2160 frames: handler, local worker, our container's server, assembly.

`python -m benchmarks.large_frames [SLOWDOWN …]` (default: 2, 4, 16 and 100). Each works in a process of its own, and
the peak is the resident memory that Linux noted for it; ffmpeg is not counted. New frames come from `flow`: at 2x, with
a single new frame, the peak is what it needs by itself for frames of this size.
"""

import http.client
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.fresh_process import forget_peak_memory, in_fresh_process, peak_memory
from slowmo_pipeline.endpoint.record import EndpointRecord, write_served
from slowmo_pipeline.interpolation.catalog import spec_of
from slowmo_pipeline.progress import Quiet
from slowmo_pipeline.serving.handler import handle
from slowmo_pipeline.serving.local.worker_main import run
from slowmo_pipeline.steps.assemble import assemble
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.steps.upload import register, upload_clip
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.keys import PlanKeys, ResultKeys
from slowmo_pipeline.video.binary import ffmpeg_binary
from slowmo_pipeline_tests.support.processes import free_port

SLOWDOWNS = (2, 4, 16, 100)
FRAMES = 2

_SERVER = """
import sys
from slowmo_pipeline.interpolation.catalog import spec_of
from slowmo_pipeline.serving.container.server import serve

serve(lambda: [spec_of("flow").make()], host="127.0.0.1", port=int(sys.argv[1]))
"""


def main() -> None:
    columns = ("slowdown", "chunks", "request", "result", "handler", "worker", "container", "assembly")
    print(f"{FRAMES} frames of 3840x2160; largest payload and peak memory in MB")
    print("".join(f"{column:>10}" for column in columns), flush=True)
    for slowdown in map(int, sys.argv[1:] or SLOWDOWNS):
        with tempfile.TemporaryDirectory() as folder:
            video_id = in_fresh_process(prepared, folder, slowdown)
            peaks = [in_fresh_process(step, folder, video_id) for step in (handled, worked, served)]
            keys, results = keys_of(folder, video_id)
            storage = FolderStorage(Path(folder))
            requests, answers = (
                [entry.size for entry in storage.list(prefix)] for prefix in (keys.chunks, results.results)
            )
            peaks.append(in_fresh_process(assembled, folder, video_id))  # which deletes the chunks
        numbers = [len(answers), max(requests) / 1e6, max(answers) / 1e6, *(1e3 * peak for peak in peaks)]
        print("".join([f"{slowdown:9}x", *(f"{number:10.0f}" for number in numbers)]), flush=True)


def prepared(folder: str, slowdown: int) -> str:
    """Cut a clip of so much noise that images hardly shrink; returns its video id."""
    storage = FolderStorage(Path(folder))
    clip = Path(folder, "clip.mp4")
    source = f"testsrc2=size=3840x2160:rate=25:duration={FRAMES / 25},noise=alls=100:allf=t"
    command = [ffmpeg_binary(), "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-qp", "0"]
    subprocess.run([*command, str(clip)], check=True)
    write_served(storage, "flow", EndpointRecord(model_id=spec_of("flow").make().model_id, max_body_bytes=10**9))
    video_id = register(storage, upload_clip(storage, clip, Quiet(), with_sidecar=False))
    inspect_upload(storage, video_id, chosen={"slowdown": slowdown}, progress=Quiet())
    cut(storage, video_id, progress=Quiet())
    return video_id


def keys_of(folder: str, video_id: str) -> tuple[PlanKeys, ResultKeys]:
    active = read_active_plan(FolderStorage(Path(folder)), video_id)
    return active.keys, active.result_keys


def handled(folder: str, video_id: str) -> float:
    """The handler: bytes in, bytes out."""
    storage, interpolator = FolderStorage(Path(folder)), spec_of("flow").make()
    for entry in list(storage.list(keys_of(folder, video_id)[0].chunks)):
        handle(storage.read(entry.key), interpolator)
    return peak_memory()


def worked(folder: str, video_id: str) -> float:
    """A worker of the local endpoint: from the storage, to the storage."""
    storage, interpolator = FolderStorage(Path(folder)), spec_of("flow").make()
    keys, results = keys_of(folder, video_id)
    for index in range(len(list(storage.list(keys.chunks)))):
        outcome = run({"input": keys.chunk(index), "result": results.result(index)}, storage, interpolator, print)
        assert outcome == {}, outcome
    return peak_memory()


def served(folder: str, video_id: str) -> float:
    """The server of our own container, asked over HTTP."""
    storage = FolderStorage(Path(folder))
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", _SERVER, str(port)])
    try:
        while not _answers(port):
            time.sleep(0.1)
        for entry in list(storage.list(keys_of(folder, video_id)[0].chunks)):
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
            client.request("POST", "/invocations", storage.read(entry.key))
            response = client.getresponse()
            assert response.status == 200, response.read()
            while response.read(1 << 20):
                pass
        return peak_memory(server.pid)
    finally:
        server.kill()


def assembled(folder: str, video_id: str) -> float:
    """Assembly: results and originals into the final video."""
    forget_peak_memory()
    storage = FolderStorage(Path(folder))
    assemble(storage, read_active_plan(storage, video_id), progress=Quiet())
    return peak_memory()


def _answers(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port)
    try:
        client.request("GET", "/ping")
        return client.getresponse().status == 200
    except ConnectionError:
        return False


if __name__ == "__main__":
    main()
