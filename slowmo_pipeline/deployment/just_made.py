"""What was made just now may not be found yet: SageMaker reads eventually consistently, as its API's pages say."""

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from slowmo_pipeline.endpoint.sagemaker import is_not_found
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.storage.patience import JUST_MADE_PAUSES_SECONDS


def once_found(made: str, request: Callable[[], object]) -> None:
    """Make a request that names what was made just now, and again while SageMaker does not find it.

    `made` is a noun for it. Raises EndpointError when it is not found after the last pause.
    """
    for pause in (*JUST_MADE_PAUSES_SECONDS, None):
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
    said, waited = error.response["Error"]["Message"].rstrip("."), sum(JUST_MADE_PAUSES_SECONDS)
    return (
        f"SageMaker does not find the {made}, {waited:g} s after it was made ({said}). Run the same "
        "command again: it goes on where this one stopped, and makes anew what is gone."
    )
