"""Jobs: the whole way from an upload to its final video, its end once the endpoint is done, a change of its model."""

import dagster as dg

from slowmo_pipeline.defs.assets import final_video, frame_chunks, interpolated_chunks, raw_video
from slowmo_pipeline.run_queue import BEFORE_OTHERS

slow_motion = dg.define_asset_job(
    "slow_motion",
    selection=dg.AssetSelection.assets(raw_video, frame_chunks, interpolated_chunks, final_video),
    description="From an upload to its slow-motion video.",
)

finish_video = dg.define_asset_job(
    "finish_video",
    selection=dg.AssetSelection.assets(interpolated_chunks, final_video),
    # What was dropped first is finished first, before the next ones begin.
    tags=BEFORE_OTHERS,
    description="Take up a submitted video: submit again what failed, or assemble it when all results are there.",
)

change_model = dg.define_asset_job(
    "change_model",
    selection=dg.AssetSelection.assets(frame_chunks, interpolated_chunks, final_video),
    tags=BEFORE_OTHERS,
    description="Make a submitted video with the model that is deployed now: from the same chunks, with the same "
    "settings, whether its upload is still there or not. Only the final video needs the upload.",
)
