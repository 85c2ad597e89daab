"""A home that version 0.1.0 made and left, with SIGKILL, in the middle of its work.

    finished.mp4     by `slowmo run --slowdown 3 --codec ffv1`, finished
    dropped.mp4      dropped into the uploads below `slowmo up`, whose sensors have finished it and looked again
    under way.mp4    three chunks at 2x, submitted without waiting, accepted by the local endpoint, none computed
    waiting.mp4      registered, and no more

The clips that were run lie beside it. Made once, by that version: nothing here makes it anew. Times of what was under
way are moved on when it is unpacked, as if that version had been killed just now: SageMaker's six hours in the queue
would be over otherwise.
"""

import json
import os
import sqlite3
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from slowmo_pipeline.environment import Home
from slowmo_pipeline_tests.support.places import DATA


@dataclass(frozen=True)
class EarlierHome:
    """The home, unpacked."""

    home: Home
    clips: Path
    """The folder with the clips."""

    FINISHED = "finished-b9d83a22"
    DROPPED = "dropped-0a325f44"
    UNDER_WAY = "under-way-fcc3c903"
    WAITING = "waiting-940b1509"


def unpack_with_times(archive: str, folder: Path, times: Path) -> None:
    """Unpack what an earlier version left; `times` among it tells those of the files beside it."""
    with tarfile.open(DATA / archive) as packed:
        packed.extractall(folder, filter="data")
    # An upload's version is its time to the nanosecond, which no tar keeps.
    for name, nanoseconds in json.loads(times.read_text()).items():
        os.utime(times.parent / name, ns=(nanoseconds, nanoseconds))


def earlier_home(folder: Path) -> EarlierHome:
    """Unpack it into a folder, as if it had been made there."""
    unpack_with_times("home-0.1.0.tar.xz", folder, folder / "mtimes.json")
    home = Home(folder / "home")
    # Receipts and requests hold addresses of where it was made, and so does what the endpoint told of itself.
    told = json.loads((home.endpoint / "endpoint.json").read_text())["storage"]
    made_in = told.removeprefix("file://").removesuffix("/home/storage")
    database = sqlite3.connect(home.endpoint / "requests.sqlite")
    [(accepted,)] = database.execute("SELECT max(accepted_at) FROM requests").fetchall()
    age = time.time() - accepted
    database.execute(
        "UPDATE requests SET storage = replace(storage, ?, ?), accepted_at = accepted_at + ?",
        (made_in, str(folder), age),
    )
    database.commit()
    database.close()
    for path in (home.root / "storage").rglob("*.json"):
        record = json.loads(path.read_bytes().replace(made_in.encode(), str(folder).encode()))
        record.update({name: record[name] + age for name in ("submitted_at", "deadline") if name in record})
        path.write_text(json.dumps(record))
    return EarlierHome(home, folder)
