"""Clip and result side by side, as a video: the clip slowed by repeating its frames."""

from pathlib import Path

from slowmo_pipeline.errors import UnreadableVideoError
from slowmo_pipeline.progress import Progress
from slowmo_pipeline.steps.inspect_upload import unchanged_upload
from slowmo_pipeline.steps.records import read_finished
from slowmo_pipeline.steps.verify import result_limits
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.video.labelled import Labelled
from slowmo_pipeline.video.reader import probe, read_frames
from slowmo_pipeline.video.screen import Screen
from slowmo_pipeline.video.side_by_side import SideBySide

_WIDTH, _HEIGHT = 1280, 1080
"""Most pixels of each half."""

_OPTIONS = {"preset": "medium", "crf": "18"}


def compare(storage: Storage, video_id: str, path: Path, *, progress: Progress) -> None:
    """Write the video, H.264 in MP4 without sound, from what is stored.

    Raises UnknownVideoError for a video that is not finished, or whose upload is not the one that was looked at.
    """
    active, final = read_finished(storage, video_id)
    info, timeline = active.info, active.plan.timeline
    entry = unchanged_upload(storage, active.source)
    with storage.local_upload(entry) as upload, storage.local_file(final.key) as result:
        shown = probe(result, limits=result_limits(active))
        left = Labelled(Screen.within(info, width=_WIDTH, height=_HEIGHT), "clip, its frames repeated")
        right = Labelled(Screen(shown, width=left.width, height=left.height), "result")
        video = SideBySide(path, left, right, rate=timeline.frame_rate, options=_OPTIONS)
        results = read_frames(result, shown)
        for number, frame in read_frames(upload, info):
            for output, _ in active.plan.outputs_of_frame(number):
                _, made = next(results, (0, None))
                if made is None:
                    raise UnreadableVideoError(f"{final.key} ends before its plan does: run again to make it anew.")
                video.add(frame, made)
                progress("compare", output + 1, timeline.output_count, "frames")
        video.finish()
