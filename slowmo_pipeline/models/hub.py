"""The published FILM, from the hub where its authors put it."""

import errno
import sys
from contextlib import redirect_stdout
from pathlib import Path

from slowmo_pipeline.errors import ModelError

PUBLISHED = "google/film/tensorFlow2/film/1"
"""The "Style" weights: owner, model, framework, variation, version."""


def download_published(folder: Path) -> Path:
    """Download PUBLISHED below a new folder and return where its files lie; kagglehub draws the progress on stderr.

    Raises ModelError when kagglehub is missing or fails.
    """
    with redirect_stdout(sys.stderr):  # where kagglehub logs
        try:
            import kagglehub
        except ImportError as error:
            raise ModelError(
                "kagglehub, which fetches the published model, is not installed: pip install 'slowmo_pipeline[film]'. "
                "Or give the address or the path of a SavedModel."
            ) from error
        try:
            # A folder of ours: in kagglehub's own cache it would lie a second time.
            return Path(kagglehub.model_download(PUBLISHED, output_dir=str(folder)))
        except Exception as error:  # kagglehub has no common base for its many errors
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            told = " ".join(str(error).split()).rstrip(".")
            raise ModelError(
                f"kagglehub could not fetch {PUBLISHED}: {told}. Try again, or download a SavedModel yourself and "
                "give its path."
            ) from error
