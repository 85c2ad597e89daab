"""Which field of a picture is the earlier one: the one that is less combed with the picture before it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from slowmo_pipeline.video.fields.combing import Combing

_DECIDED, _PLAIN = 0.87, 0.5
"""By which factor fields must be less combed in one order than in the other, to decide it, and to be beyond doubt."""

_WINDOW = 24
"""Pictures that decide for themselves whether the order is another."""

_FAINT = 20
"""So little combing a picture tells nothing beyond doubt."""


class Order(NamedTuple):
    """Which field comes first."""

    top_first: bool
    contradicts: bool
    """Whether the pictures say otherwise."""

    def __str__(self) -> str:
        """Return it as notes show it."""
        told = "top field first" if self.top_first else "bottom field first"
        return f"{told}, though it says otherwise" if self.contradicts else told


def order_of(combing: "Combing", *, marked: bool | None) -> Order:
    """What was measured or, where that does not decide it, what the pictures say: whether the top field is first."""
    top, bottom = sum(combing.top) + sum(combing.far_top), sum(combing.bottom) + sum(combing.far_bottom)
    is_decided = min(top, bottom) < _DECIDED * max(top, bottom)
    top_first = top < bottom if is_decided else marked is not False
    return Order(top_first, marked not in (None, top_first))


def change_of_order(combing: "Combing") -> int | None:
    """Near which picture the order becomes another, if it surely does."""
    first: bool | None = None
    for begin, top_first in _plain_orders(combing):
        if first is not None and top_first != first:
            return begin
        first = top_first
    return None


def _plain_orders(combing: "Combing") -> Iterator[tuple[int, bool]]:
    """Windows whose order is beyond doubt: where each begins, and whether its top fields are first."""
    for begin in range(0, len(combing.within), _WINDOW):
        window = slice(begin, begin + _WINDOW)
        within, top, bottom = (sum(each[window]) for each in (combing.within, combing.top, combing.bottom))
        # Whole pictures that move up or down by lines may look as if in order; but they are not combed themselves.
        if min(top, bottom) < _PLAIN * max(top, bottom) and within > max(_PLAIN * min(top, bottom), _FAINT * _WINDOW):
            yield begin, top < bottom
