"""What a shell offers to complete a word with."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import SlowmoError
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS

Completion = Callable[[str], list[str]]
"""From what was typed of a word to what it may become."""


def one_of(words: Iterable[str]) -> Completion:
    """Any of these."""
    known = [*words]
    return lambda incomplete: [word for word in known if word.startswith(incomplete)]


interpolators = one_of(INTERPOLATORS)


def values_of(name: str, field: FieldInfo) -> Completion | None:
    """The values of a setting that are words; None when it has none."""
    words = [*INTERPOLATORS] if name == "interpolator" else [*_words(field.annotation)]
    return one_of(words) if words else None


def _words(annotation: Any) -> Iterable[str]:
    """Those of each Literal inside of a type."""
    if get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
    elif get_origin(annotation) is not None:
        for each in get_args(annotation):
            yield from _words(each)


def video_ids(incomplete: str) -> list[str]:
    """Videos of the storage."""
    from slowmo_pipeline.steps.video_status import known_videos
    from slowmo_pipeline.storage.opening import open_storage

    try:
        known = known_videos(open_storage(current_home().storage_url))
    except SlowmoError:
        return []  # a line that is being typed has no place for a message; the command itself tells it
    return one_of(known)(incomplete)


def model_names(incomplete: str) -> list[str]:
    """Models that were fetched."""
    from slowmo_pipeline.models.library import fetched_models

    try:
        return one_of(fetched_models(current_home()))(incomplete)
    except SlowmoError:
        return []  # as above
