"""What was made just now may not be found yet: SageMaker reads eventually consistently, as its API's pages say."""

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from slowmo_pipeline.endpoint.sagemaker import is_not_found
from slowmo_pipeline.errors import EndpointError

PAUSES_SECONDS: tuple[float, ...] = (1, 2, 4, 8, 15)
"""Between the attempts of a request, half a minute in all. SageMaker says "a short time", and no number."""


def once_found(made: str, request: Callable[[], object]) -> None:
    """Make a request that names what was made just now, and again while SageMaker does not find it.

    `made` is a noun for it. Raises EndpointError when it is not found after the last pause.
    """
    for pause in (*PAUSES_SECONDS, None):
        try:
            request()
        except ClientError as error:
            if not is_not_found(error):
                raise
            if pause is None:
                raise EndpointError(_still_not(made, error)) from error
            time.sleep(pause)
        else:
            return


def _still_not(made: str, error: ClientError) -> str:
    said = error.response["Error"]["Message"].rstrip(".")
    return (
        f"SageMaker does not find the {made}, {sum(PAUSES_SECONDS):g} s after it was made ({said}). Run the same "
        "command again: it goes on where this one stopped, and makes anew what is gone."
    )
