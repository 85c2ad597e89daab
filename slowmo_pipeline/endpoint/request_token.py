"""The token of a local server: who can read it in the state folder may send requests and see which keys they name.

Any user of the machine can connect to a port on loopback. The server writes its storage as the user who started it, so
it takes requests of whoever can read that user's files, and of others only when it is told to (`--open`).
"""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

TOKEN_HEADER = "x-slowmo-token"
"""In a request: the token of the server that it is sent to."""

_NAME = "request-token"
_TOKEN = re.compile("[0-9a-f]{64}")


def make_token() -> str:
    """A token that nobody can guess. Each server makes one when it starts: what was sent to another one opens none."""
    return secrets.token_hex(32)


def write_token(folder: Path, token: str) -> None:
    """Leave the token in a state folder, for the server that owns it. The file is its user's alone, by any umask."""
    aside = folder / f"{_NAME}.tmp"
    aside.unlink(missing_ok=True)  # it may be one that others can read
    with open(aside, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(token)
    aside.replace(folder / _NAME)


def read_token(folder: Path) -> str | None:
    """The token in a state folder; None where there is none that this user may read. Servers of before have none."""
    with suppress(FileNotFoundError, PermissionError, UnicodeDecodeError):
        found = (folder / _NAME).read_text()
        return found if _TOKEN.fullmatch(found) else None
    return None
