"""Changes of an upload or its sidecar, so named that none is taken for one of before.

What they hold may come back: settings go from 4 to 8 and back to 4, a clip is moved out and in again. Dagster starts no
run twice under one name, and a run has made another video in between. So the name says what the video is made of, and
since when. A sidecar that is removed leaves no time behind, and clocks are set back: the last name is kept in the
storage, and the next one is later, also when the sensor has lost its cursor.
"""

from slowmo_pipeline.record import Record
from slowmo_pipeline.steps.inspect_upload import joint_version
from slowmo_pipeline.storage.base import Entry, Storage
from slowmo_pipeline.storage.json_records import read_if_whole, write_record
from slowmo_pipeline.storage.keys import VideoKeys


class Change(Record):
    """What an upload and its sidecar are now."""

    version: str
    """Their joint version: it may be one of before."""
    changed: int
    """When they became this, in nanoseconds since the epoch."""

    def __str__(self) -> str:
        """The name of this change: no other one of the same video has it."""
        return f"{self.version}:{self.changed}"

    def after(self, before: "Change") -> "Change":
        """This change as it follows the last one; the very same when it is no other."""
        earliest = before.changed if self.version == before.version else before.changed + 1
        return Change(version=self.version, changed=max(self.changed, earliest))


def change_of(upload: Entry, sidecar: Entry | None) -> Change:
    """What an upload and its sidecar are, as a listing shows them."""
    changed = max(upload.changed, sidecar.changed) if sidecar else upload.changed
    return Change(version=joint_version(upload, sidecar), changed=changed)


def noted(storage: Storage, video_id: str, change: Change) -> Change:
    """The change as it follows the last one that was noted, which it replaces; the same when it is asked for again."""
    key = VideoKeys(video_id).requested
    before = read_if_whole(storage, Change, key, torn="It is made anew.")
    following = change.after(before) if before else change
    if following != before:
        write_record(storage, key, following)
    return following
