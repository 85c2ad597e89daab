"""Stored states of a video, made without running the steps that lead there."""

from fractions import Fraction

from slowmo_pipeline.keys import ResultKeys, VideoKeys
from slowmo_pipeline.plan import make_plan
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.timeline import ConstantRate, TimeLine

PLAN = "0123456789abcdef"


def planned_video(storage: Storage, video_id: str, *, model_id: str = "fade-1") -> tuple[str, ResultKeys]:
    """Store a plan of one chunk; returns its name and the keys of what a model makes of it."""
    timeline = TimeLine(ConstantRate(Fraction(25), 4), Fraction(2), Fraction(25))
    keys = VideoKeys(video_id).plan(PLAN)
    storage.write(keys.plan, make_plan(timeline, {}, frame_bytes=1000).to_json())
    return PLAN, keys.model(model_id)
