"""What a run says, heard by a test."""

from collections.abc import Callable

from slowmo_pipeline.progress import Quiet


class Notes(Quiet):
    """Hands on what a run says."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear

    def note(self, message: str) -> None:
        self._hear(message)
