"""What a container answers when a request fails. The one place that turns an exception into a status code.

Every adapter around the handler uses it: DJL's, the container's and the local server's. It imports nothing heavy.
"""

import json
from dataclasses import asdict, dataclass

from slowmo_pipeline.errors import ChunkFormatError

BAD_CHUNK = 400
PAYLOAD_TOO_LARGE = 413
SERVER_ERROR = 500
OUT_OF_MEMORY = 507
"""DJL Serving's code for a model that ran out of memory."""

# TensorFlow's own error for a full GPU; by name, since most who come by here have no TensorFlow.
_OUT_OF_MEMORY_NAMES = frozenset({"ResourceExhaustedError"})

LONGEST_MESSAGE = 2000
"""Characters of what went wrong that are told; an error may quote a whole chunk."""


@dataclass(frozen=True)
class Failure:
    """A failed request: 4xx when the request is at fault, 5xx when another attempt may succeed."""

    code: int
    """HTTP status, 400 to 599."""
    error: str
    """The name of the exception's class."""
    message: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """The failure that an exception of the handler means: 400 a bad chunk, 507 memory, 500 anything else."""
        return cls(_code_of(error), type(error).__name__[:LONGEST_MESSAGE], str(error)[:LONGEST_MESSAGE])

    def body(self) -> bytes:
        """The answer's body, and so the failure object's: `{"code": 400, "error": "ChunkFormatError", "message": …}`.

        The code stands in it because the failure object is all that a client of an asynchronous endpoint gets to see.
        """
        return json.dumps(asdict(self), ensure_ascii=False).encode()


def _code_of(error: Exception) -> int:
    if isinstance(error, ChunkFormatError):
        return BAD_CHUNK
    if isinstance(error, MemoryError) or any(base.__name__ in _OUT_OF_MEMORY_NAMES for base in type(error).__mro__):
        return OUT_OF_MEMORY
    return SERVER_ERROR
