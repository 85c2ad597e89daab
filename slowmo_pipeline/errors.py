"""The errors that a user can meet. Each message is one sentence or two and names the next step.

Every error is also the built-in that people already catch, so `except ValueError` works for bad input.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class SlowmoError(Exception):
    """Base of all errors raised on purpose; the command line prints its message without a traceback."""


class SettingsError(SlowmoError, ValueError):
    """A setting is out of bounds, unknown, or does not parse."""


class UsageError(SettingsError):
    """The command line says what cannot be meant; the exit code is 2, as for an option that does not exist."""


class UnreadableVideoError(SlowmoError, ValueError):
    """The upload holds no video stream that decodes to at least two frames."""


class VideoTooLargeError(SlowmoError, ValueError):
    """The video exceeds a bound of the settings: bytes, pixels, frames or duration."""


class UnknownVideoError(SlowmoError, LookupError):
    """A video id, or an earlier step's output, that the storage does not know."""


class ChunkFormatError(SlowmoError, ValueError):
    """A chunk or a result is damaged, or does not follow the wire format."""


class VideoIdTakenError(SlowmoError, ValueError):
    """The video id of an upload is another upload's."""


class EncodeError(SlowmoError, RuntimeError):
    """ffmpeg failed; the message carries the end of what it said."""


class EncoderKilledError(EncodeError):
    """ffmpeg was ended from outside: the machine's doing (no memory left, say), not the video's."""


class StorageError(SlowmoError, OSError):
    """The storage cannot be used as configured."""


class DiskFullError(StorageError):
    """A disk has no room, or would have none; what was finished is kept."""


class DamagedRecordError(StorageError):
    """A stored record does not parse, though only this program writes it: torn by a crash, or edited."""


class EndpointError(SlowmoError, RuntimeError):
    """The endpoint refused a request, or answers what the contract does not allow."""


class EndpointUnreachableError(EndpointError, ConnectionError):
    """Nobody answers at the endpoint's address."""


class InterpolationFailedError(SlowmoError, RuntimeError):
    """Chunks of a video have failed for good."""


class ModelError(SlowmoError, ValueError):
    """A model cannot be fetched or read, or its weights do not fit the network."""


class NoGpuError(SlowmoError, RuntimeError):
    """A GPU is required, and TensorFlow sees none."""


class NotificationError(SlowmoError, RuntimeError):
    """A message to the operator could not be sent."""


class HomeError(SlowmoError, RuntimeError):
    """SLOWMO_HOME cannot be used, or another process holds what only one may hold."""


@contextmanager
def usage() -> Iterator[None]:
    """Within it, a SettingsError is about what the command line says."""
    try:
        yield
    except SettingsError as error:
        raise UsageError(str(error)) from None
