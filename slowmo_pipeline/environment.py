"""The environment variables, read in this one place and only when asked."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from slowmo_pipeline.errors import HomeError

REQUIRE_GPU = "SLOWMO_REQUIRE_GPU"
"""What `gpu_required` reads, for whoever sets it."""


@dataclass(frozen=True)
class Home:
    """Where a machine keeps what it needs: one folder that several processes share."""

    root: Path

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: runs, schedules and logs."""
        return self.root / "dagster"

    @property
    def dagster_log(self) -> Path:
        """What Dagster says below `slowmo up`."""
        return self.root / "dagster.log"

    @property
    def endpoint(self) -> Path:
        """State of the local endpoint."""
        return self.root / "endpoint"

    @property
    def models(self) -> Path:
        """Models that were fetched, a folder each."""
        return self.root / "models"

    @property
    def locks(self) -> Path:
        """Files that processes lock."""
        return self.root / "locks"

    @property
    def scratch(self) -> Path:
        """Copies of what lies in a bucket, and what is made of them, while a process works on them."""
        return self.root / "scratch"

    @property
    def storage_url(self) -> str:
        """The storage root: SLOWMO_STORAGE, by default a folder in the home. A path is absolute."""
        given = os.environ.get("SLOWMO_STORAGE") or str(self.root / "storage")
        is_address = ":" in given.partition("/")[0]
        return given if is_address else os.path.abspath(given)

    @property
    def has_bucket(self) -> bool:
        """Whether the storage is a bucket: SageMaker reads and writes nothing else."""
        return self.storage_url.startswith("s3://")


def current_home() -> Home:
    """SLOWMO_HOME, by default `slowmo_data` in the working directory. HomeError for a path that Dagster cannot take."""
    root = Path(os.environ.get("SLOWMO_HOME") or "slowmo_data").absolute()
    # Dagster names its SQLite files by such an address: what follows a question mark are options, and %25 is a %.
    if "?" in str(root) or unquote(str(root)) != str(root):
        raise HomeError(
            f"SLOWMO_HOME = {root} cannot be used: Dagster's database takes no path with a question mark, or with a "
            "percent sign before two hexadecimal digits. Set SLOWMO_HOME to another folder."
        )
    return Home(root)


def in_another_folder() -> dict[str, str]:
    """The environment for a process with another working directory: what names files by relative paths still does."""
    return {name: _absolute(name, value) for name, value in os.environ.items()}


_FILES = frozenset({"AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"})


def _absolute(name: str, value: str) -> str:
    if name == "PYTHONPATH" and value:
        return os.pathsep.join(map(os.path.abspath, value.split(os.pathsep)))
    # A program without a slash is looked for on PATH; ~ is for whoever reads the variable.
    names_file = name in _FILES or (name == "FFMPEG_BINARY" and os.sep in value)
    return os.path.abspath(value) if names_file and value and not value.startswith("~") else value


def operator_topic() -> str | None:
    """ARN of the SNS topic that hears of finished and failed videos: SLOWMO_OPERATOR_TOPIC."""
    return os.environ.get("SLOWMO_OPERATOR_TOPIC") or None


def ui_url() -> str | None:
    """Where people reach Dagster's UI, for links in messages: SLOWMO_UI_URL."""
    return os.environ.get("SLOWMO_UI_URL") or None


def gallery_url() -> str | None:
    """Where people reach the gallery, for links in Dagster's UI: SLOWMO_GALLERY_URL."""
    return os.environ.get("SLOWMO_GALLERY_URL") or None


def gpu_required() -> bool:
    """Whether FILM must not fall back to the CPU: SLOWMO_REQUIRE_GPU, which a deployment on GPUs sets to 1."""
    return _is_on(REQUIRE_GPU)


def deployment_jobs_wanted() -> bool:
    """Whether Dagster has the jobs that deploy and delete endpoints: SLOWMO_DEPLOYMENT_JOBS set to 1.

    Whoever reaches Dagster could spend money with one and end everybody's work with the other.
    """
    return _is_on("SLOWMO_DEPLOYMENT_JOBS")


def _is_on(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def server_side_encryption() -> dict[str, str]:
    """How S3 shall encrypt what is written, as arguments of its requests; empty: as the bucket does by default.

    AWS_SERVER_SIDE_ENCRYPTION (AES256, aws:kms) and AWS_SSE_KMS_KEY_ID.
    """
    variables = {"ServerSideEncryption": "AWS_SERVER_SIDE_ENCRYPTION", "SSEKMSKeyId": "AWS_SSE_KMS_KEY_ID"}
    return {name: value for name, variable in variables.items() if (value := os.environ.get(variable))}
