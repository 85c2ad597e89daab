"""How often what a storage or a disk refuses is tried again: a full disk is freed, credentials are renewed."""

from collections.abc import Iterator

PATIENCE_SECONDS = 1800
"""How long the local server goes on trying before a request fails."""

_LONGEST_PAUSE_SECONDS = 30


def pauses() -> Iterator[int]:
    """Pauses between attempts in seconds: 1, 2, 4 … 30, 30 …, as many as PATIENCE_SECONDS hold."""
    pause, waited = 1, 0
    while waited + pause <= PATIENCE_SECONDS:
        yield pause
        waited += pause
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
