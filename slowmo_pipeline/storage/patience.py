"""How often and how long what fails is tried again, by who tries: each number once, with its reason.

who                      what fails                           tried again
a request to AWS         throttling, 5xx, lost connections    4 times, within seconds
a look at AWS            the same                             once: who looks, looks again soon
the storage in S3        the same                             7 times, for half a minute
a run, submitting        an endpoint that is busy             for 2 minutes, on top of each request's attempts
a run, connecting        a local server that is gone          for 20 seconds
a run, a chunk           a failure of the endpoint            twice
the local server         a full disk, refused credentials     for half an hour
a deploy                 what was made just now, not found    5 times, for half a minute
"""

from collections.abc import Iterator
from typing import Any

AWS_REQUEST: Any = {"retries": {"mode": "standard", "total_max_attempts": 5}}
"""Keyword arguments of botocore's Config, as are the next two. Its standard mode puts jitter between the attempts."""

AWS_LOOK: Any = {
    "connect_timeout": 5,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
"""Dagster ends a tick after 60 s, and a waiting run has results to look for: better to ask again than to wait long."""

S3_REQUEST: Any = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"mode": "standard", "total_max_attempts": 8},
    "tcp_keepalive": True,
}
"""A busy bucket is asked again for half a minute; a line that stands still counts as lost after a minute."""

S3_CONFLICT_PAUSES_SECONDS = (0.5, 1, 2, 4)
"""Longest pauses before creating an object is tried again that somebody else creates at the same time."""

BUSY_SECONDS = 120
"""How long an endpoint may be throttled or broken before a run gives up."""

BUSY_PAUSE_SECONDS = 10
"""Between two submissions meanwhile, at most."""

RESTART_SECONDS = 20
"""How long a local endpoint may be gone before a run gives up: `slowmo up` starts it again within two."""

CHUNK_ATTEMPTS = 3
"""A chunk that fails three times fails for a reason of its own; each attempt on AWS is paid for."""

LOCAL_SERVER_SECONDS = 1800
"""A full disk is freed and credentials are renewed by people."""

_LOCAL_SERVER_LONGEST_PAUSE_SECONDS = 30

JUST_MADE_PAUSES_SECONDS: tuple[float, ...] = (1, 2, 4, 8, 15)
"""SageMaker finds what it made after "a short time", and gives no number."""


def local_server_pauses() -> Iterator[int]:
    """Pauses between attempts in seconds: 1, 2, 4 … 30, 30 …, as many as LOCAL_SERVER_SECONDS hold."""
    pause, waited = 1, 0
    while waited + pause <= LOCAL_SERVER_SECONDS:
        yield pause
        waited += pause
        pause = min(2 * pause, _LOCAL_SERVER_LONGEST_PAUSE_SECONDS)
