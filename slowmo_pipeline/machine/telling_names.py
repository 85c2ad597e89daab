"""Names of results that tell what was made of a clip: clip-4x.mp4, clip-2.5x-60fps.mp4, clip-ramped.mp4."""

from fractions import Fraction

from slowmo_pipeline.settings import SlowMotionSettings
from slowmo_pipeline.settings.quantities import Moment


def telling_ending(settings: SlowMotionSettings) -> str:
    """What follows the clip's name."""
    return "".join(f"-{word}" for word in telling_words(settings))


def telling_words(settings: SlowMotionSettings) -> tuple[str, ...]:
    """The part that is made, how slow, and at what rate, each where it was asked for."""
    words = (
        f"from{_moment(settings.from_)}" if settings.from_ is not None else "",
        f"to{_moment(settings.to)}" if settings.to is not None else "",
        _pace(settings),
        f"{_short(settings.frame_rate)}fps" if settings.frame_rate is not None else "",
    )
    return tuple(filter(None, words))


def _pace(settings: SlowMotionSettings) -> str:
    if settings.speed is not None:
        return "ramped"
    only_rate = settings.slowdown == 1 and settings.frame_rate is not None
    return "" if only_rate else f"{_short(settings.slowdown)}x"


def _moment(moment: Moment) -> str:
    return f"f{moment}" if isinstance(moment, int) else f"{_short(moment)}s"


def _short(number: Fraction) -> str:
    """Rounded to three places: no name holds a fraction's stroke."""
    return f"{float(number):.3f}".rstrip("0").rstrip(".")
