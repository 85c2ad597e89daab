"""Files of the web, streamed to disk; requests honours the proxy variables of the environment."""

import re
from pathlib import Path

import requests
import urllib3

from slowmo_pipeline.errors import ModelError
from slowmo_pipeline.models.archive import MAX_BYTES, PIECE_BYTES
from slowmo_pipeline.progress import Progress

_CONNECT_SECONDS = 15
_SILENCE_SECONDS = 60


def is_url(source: str) -> bool:
    """Whether a source is an address, well-formed or not, rather than a path."""
    return "://" in source


def without_secrets(url: str) -> str:
    """The address as it may be shown and kept: without user and query, where passwords and signatures stand."""
    scheme, _, rest = url.partition("://")
    host, slash, path = re.split("[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def download(url: str, path: Path, progress: Progress) -> None:
    """Write what an http(s) address answers to a file. Raises ModelError unless all of it came."""
    shown = without_secrets(url)
    if url.partition("://")[0].lower() not in ("http", "https"):
        raise ModelError(f"{shown} is no http(s) address. Download it yourself and give the path of the file.")
    try:
        with requests.get(
            url,
            stream=True,
            timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS),
            # Some servers call a .tar.gz a tar in transit, and requests would unpack it: hence this and stream() below.
            headers={"Accept-Encoding": "identity"},
        ) as response:
            if response.status_code != requests.codes.ok:
                raise ModelError(
                    f"{shown} answered {response.status_code} {response.reason}. Check the address, or download it "
                    "yourself and give the path of the file."
                )
            _write(response, path, shown, progress)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise ModelError(
            f"{shown} could not be downloaded: {_root_of(error)}. Try again, or download it yourself and give the path "
            "of the file."
        ) from error


def _write(response: requests.Response, path: Path, shown: str, progress: Progress) -> None:
    total = response.raw.length_remaining or 0  # urllib3 raises IncompleteRead if fewer bytes come
    done = 0
    with path.open("wb") as file:
        for piece in response.raw.stream(PIECE_BYTES, decode_content=False):
            done += len(piece)
            if max(done, total) > MAX_BYTES:
                raise ModelError(f"{shown} has more than {MAX_BYTES} bytes: it is no model. Check the address.")
            file.write(piece)
            progress("download", done, total, "bytes")


def _root_of(error: BaseException) -> BaseException:
    """What went wrong at first: requests wraps it three times over, with the whole address in each message."""
    while error.__context__ is not None:
        error = error.__context__
    return error
