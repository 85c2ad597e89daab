"""Code versions of the assets: the formats that they are made by. Dagster marks what today's would make otherwise.

A release that makes the same has the same, and marks nothing. By itself Dagster would note the version of whatever code
ran last; but a video of earlier formats keeps them when it is run again, until its upload or settings change. So each
materialisation names those that it was made by.
"""

from slowmo_pipeline.planning.stored import PLAN_FORMAT
from slowmo_pipeline.steps.records import FORMATS
from slowmo_pipeline.video.info import INFO_FORMAT

INSPECTED = str(INFO_FORMAT)
PLANNED = str(PLAN_FORMAT)
ENCODED = str(FORMATS)


def made_by(formats: int) -> dict[str, str]:
    """The tag of a materialisation that says which formats it was made by."""
    return {"dagster/code_version": str(formats)}
