"""The spelling of every key below the storage root."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from anyascii import anyascii

UPLOADS = "uploads/"
FAILURES = "failures/"
PENDING = "pending/"
VIDEOS = "videos/"
FINALS = "final/"
ENDPOINTS = "endpoints/"
SIDECAR_SUFFIX = ".slowmo.json"
SETTINGS = "settings.json"
"""Settings for all videos of the storage, where nothing else is said."""


def video_id_of(upload_key: str) -> str:
    """The Dagster partition key of an upload: readable, with 64 bits of its key's hash, `[a-z0-9_-]` only.

    Commas break backfills in Dagster's UI and a slash breaks storage keys, hence the narrow alphabet. An upload that
    was registered by a version before this one keeps its `earlier_video_id_of` (steps/video_ids.py).
    """
    return f"{_slug(anyascii(PurePosixPath(upload_key).stem))}-{_digest(upload_key)[:16]}"


def earlier_video_id_of(upload_key: str) -> str:
    """The id of version 0.1.0: 32 bits of the hash, so that two uploads may share it, and Latin letters alone."""
    return f"{_slug(PurePosixPath(upload_key).stem)}-{_digest(upload_key)[:8]}"


def is_video_id(name: str) -> bool:
    """Whether a name is one that a video id can be."""
    return re.fullmatch(r"[a-z0-9_-]+", name) is not None


def video_id_below(key: str) -> str:
    """The video id of what lies below VIDEOS."""
    return key.removeprefix(VIDEOS).partition("/")[0]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")[:48] or "video"


def _digest(upload_key: str) -> str:
    return hashlib.sha1(upload_key.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def upload_key(name: str, *, sha256: str) -> str:
    """Key of a file that the command line uploads: the same content lands on the same key."""
    return f"{UPLOADS}{sha256[:8]}/{name}"


def sidecar_key(upload: str) -> str:
    """Key of the optional settings beside an upload."""
    return upload + SIDECAR_SUFFIX


def video_id_of_pending(key: str) -> str:
    """The video id that a pending marker's key names."""
    return PurePosixPath(key).stem


def endpoint_key(name: str) -> str:
    """Key of what an endpoint says of itself: its model id and body limit."""
    return f"{ENDPOINTS}{name}.json"


@dataclass(frozen=True)
class ResultKeys:
    """Keys of what one model made of one plan."""

    prefix: str

    @property
    def results(self) -> str:
        """Prefix of the results."""
        return f"{self.prefix}results/"

    @property
    def receipts(self) -> str:
        """Prefix of the receipts."""
        return f"{self.prefix}receipts/"

    def result(self, chunk: int) -> str:
        """A tar of new frames."""
        return f"{self.results}{chunk:05d}.tar"

    def receipt(self, chunk: int) -> str:
        """What the endpoint answered when the chunk was submitted."""
        return f"{self.receipts}{chunk:05d}.json"

    def chunk_of_receipt(self, key: str) -> int | None:
        """The chunk that a receipt's key names; None for any other key."""
        name = PurePosixPath(key).stem
        return int(name) if name.isdecimal() and key == self.receipt(int(name)) else None


@dataclass(frozen=True)
class PlanKeys:
    """Keys of one plan of a video."""

    prefix: str

    @property
    def plan(self) -> str:
        """The plan itself."""
        return f"{self.prefix}plan.json"

    @property
    def chunks(self) -> str:
        """Prefix of the chunks."""
        return f"{self.prefix}chunks/"

    def chunk(self, index: int) -> str:
        """A tar of frames with the positions wanted between them."""
        return f"{self.chunks}{index:05d}.tar"

    def model(self, model_id: str) -> ResultKeys:
        """Keys of what a model makes of this plan."""
        return ResultKeys(f"{self.prefix}{model_id}/")


@dataclass(frozen=True)
class VideoKeys:
    """Keys of one video."""

    video_id: str

    @property
    def prefix(self) -> str:
        """Everything of the video but its upload and its final files."""
        return f"{VIDEOS}{self.video_id}/"

    @property
    def source(self) -> str:
        """Upload key, version seen, SHA-256 of the content and the settings in force."""
        return f"{self.prefix}source.json"

    @property
    def requested(self) -> str:
        """The last change of the upload or its sidecar for which a run was asked."""
        return f"{self.prefix}requested.json"

    @property
    def info(self) -> str:
        """What probing found."""
        return f"{self.prefix}info.json"

    @property
    def current(self) -> str:
        """Which plan and which model are in force."""
        return f"{self.prefix}current.json"

    @property
    def stages(self) -> str:
        """How long each stage took."""
        return f"{self.prefix}stages.json"

    @property
    def pending(self) -> str:
        """Marker while a submitted plan is unfinished; the completion sensor lists only these."""
        return f"{PENDING}{self.video_id}.json"

    @property
    def finals(self) -> tuple[str, str]:
        """The two keys beside the final video: what it was made from, and its report."""
        return f"{FINALS}{self.video_id}.json", f"{FINALS}{self.video_id}.html"

    def final(self, suffix: str) -> str:
        """The slow-motion video; `suffix` with its dot."""
        return f"{FINALS}{self.video_id}{suffix}"

    def plan(self, plan_hash: str) -> PlanKeys:
        """Keys of one of its plans."""
        return PlanKeys(f"{self.prefix}{plan_hash}/")
