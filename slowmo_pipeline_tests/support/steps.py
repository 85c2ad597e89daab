"""Stored states of a video, made without running the steps that lead there."""

from slowmo_pipeline.endpoint.client import Receipt
from slowmo_pipeline.planning.plan import make_plan
from slowmo_pipeline.steps.pending_marker import Pending
from slowmo_pipeline.steps.records import ActiveVersions
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import ResultKeys, VideoKeys
from slowmo_pipeline_tests.support.timelines import constant, even_timeline

PLAN = "0123456789abcdef"


def planned_video(storage: Storage, video_id: str, *, model_id: str = "fade-1") -> tuple[str, ResultKeys]:
    """Store a plan of one chunk; returns its name and the keys of what a model makes of it."""
    keys = VideoKeys(video_id).plan(PLAN)
    storage.write(keys.plan, make_plan(even_timeline(constant(25, 4), 2), frame_bytes=1000).to_json())
    return PLAN, keys.model(model_id)


def submitted(storage: Storage, video_id: str, *, interpolator: str, model_id: str, chunks: int) -> ResultKeys:
    """Store what a run leaves that submitted so many chunks and did not wait; the keys of what the model makes."""
    keys = VideoKeys(video_id)
    results = keys.plan(PLAN).model(model_id)
    write_record(storage, keys.current, ActiveVersions(plan=PLAN, interpolator=interpolator, model_id=model_id))
    write_record(storage, keys.pending, Pending(plan=PLAN, model_id=model_id, submitted_at=1.0, deadline=4e9))
    for chunk in range(chunks):
        receipt = Receipt(
            inference_id=f"{video_id}-{chunk}",
            failure_location=storage.uri(f"failures/{video_id}-{chunk}.out"),
            submitted_at=1.0,
            deadline=4e9,
            attempt=1,
        )
        write_record(storage, results.receipt(chunk), receipt)
    return results
