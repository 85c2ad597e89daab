"""How a container answers a request, whatever server runs in it: a status code, a content type and a body."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.serving.failure import SERVER_ERROR, Failure
from slowmo_pipeline.serving.handler import handle

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """An answer as HTTP carries it. SageMaker stores the body: of a 200 as the result, of others as the failure."""

    code: int
    """HTTP status."""
    content_type: str
    body: bytes
    error: str = ""
    """What went wrong, in one word; empty with 200."""

    def pieces(self, size: int) -> Iterator[bytes]:
        """The body in pieces of at most that many bytes."""
        return (self.body[start : start + size] for start in range(0, len(self.body), size))

    @classmethod
    def of(cls, failure: Failure) -> "Reply":
        """The answer that tells a failure."""
        return cls(failure.code, "application/json", failure.body(), failure.error)


def reply_to(chunk: BinaryIO, interpolator: Interpolator) -> Reply:
    """Run the handler; what it raises becomes a failure, logged, from 500 on with its traceback."""
    try:
        return Reply(200, "application/x-tar", handle(chunk, interpolator))
    except Exception as error:  # whatever an interpolator raises: the answer tells it
        failure = Failure.of(error)
        logger.error("%s", failure, exc_info=error if failure.code >= SERVER_ERROR else None)
        return Reply.of(failure)
