"""One table over all videos: what the page filters and sorts, what the plots draw, and what goes out as CSV.

pandas takes half a second to import: this module is imported once a page is asked for.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from slowmo_pipeline.machine.gallery.videos import UNREADABLE, Video
from slowmo_pipeline.steps.stage_seconds import STAGES
from slowmo_pipeline.steps.video_status import FINISHED, OUTDATED

UNDER_WAY = "under way"
STATES = (FINISHED, OUTDATED, UNDER_WAY, UNREADABLE)
"""What the page filters by."""


@dataclass(frozen=True)
class Order:
    """A way to sort."""

    label: str
    column: str
    ascending: bool


ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "latest": Order("latest first", "made_at", False),
        "earliest": Order("earliest first", "made_at", True),
        "name": Order("name", "name", True),
        "state": Order("state", "state", True),
        "longest": Order("longest first", "length_s", False),
        "shortest": Order("shortest first", "length_s", True),
        "slowest": Order("most seconds first", "all_stages_s", False),
        "cost": Order("highest cost first", "cost_usd", False),
        "told": Order("most notes first", "told", False),
    }
)


@dataclass(frozen=True)
class Question:
    """What of the table is asked for."""

    text: str = ""
    """In a name, an id, a note."""
    state: str = ""
    """One of STATES; anything else: all."""
    order: str = "latest"
    """A name in ORDERS; anything else: the first."""

    @staticmethod
    def of(parameters: Mapping[str, str]) -> "Question":
        """As an address asks it."""
        state, order = parameters.get("state", ""), parameters.get("order", "")
        return Question(
            text=parameters.get("text", "").strip()[:200],
            state=state if state in STATES else "",
            order=order if order in ORDERS else next(iter(ORDERS)),
        )


def table_of(videos: Sequence[Video]) -> pd.DataFrame:
    """A row a video, indexed as they are."""
    table: pd.DataFrame = pd.DataFrame([_row(video) for video in videos], columns=_COLUMNS)
    typed: pd.DataFrame = table.astype(_KINDS)
    return typed


def asked_for(table: pd.DataFrame, question: Question) -> pd.DataFrame:
    """The rows that a question asks for, in its order; what is not known comes last."""
    if question.text:
        is_meant = pd.Series(False, index=table.index)
        for column in ("video", "name", "notes", "losses"):
            is_meant |= table[column].str.contains(question.text, case=False, regex=False, na=False)
        table = table[is_meant]
    if question.state:
        table = table[table["group"] == question.state]
    order = ORDERS[question.order]
    found: pd.DataFrame = table.sort_values(order.column, ascending=order.ascending, na_position="last", kind="stable")
    return found


def as_csv(table: pd.DataFrame) -> str:
    """The table for spreadsheets, in which no text is a formula."""
    texts = table.select_dtypes(include=["object", "string"]).columns
    harmless = table.drop(columns=["group", "told"])
    for column in harmless.columns.intersection(texts):
        harmless[column] = harmless[column].map(_no_formula, na_action="ignore")
    text: str = harmless.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ", float_format="%.6g")
    return text


_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def _no_formula(value: object) -> object:
    """A text that begins as formulas do gets an apostrophe before it, which tells spreadsheets that it is a text."""
    # Those of East Asian widths as well.
    is_formula = isinstance(value, str) and unicodedata.normalize("NFKC", value[:1]) in _BEGIN_FORMULAS
    return f"'{value}" if is_formula else value


_COLUMNS = [
    *("video", "name", "state", "made_at", "length_s", "width", "height", "frames", "new_frames", "slowdown", "codec"),
    *("interpolator", "model", *(f"{stage}_s" for stage in STAGES), "all_stages_s", "megapixels", "megapixels_per_s"),
    *("endpoint_s", "cost_usd", "bytes", "notes", "losses", "result", "group", "told"),
]


_NUMBERS = (
    *("length_s", "slowdown", *(f"{stage}_s" for stage in STAGES), "all_stages_s"),
    *("megapixels", "megapixels_per_s", "endpoint_s", "cost_usd"),
)
_WHOLE_NUMBERS = ("width", "height", "frames", "new_frames", "bytes")
# Spelled out: of a column in which nothing is known pandas makes anything.
_KINDS = {
    "made_at": "datetime64[ns, UTC]",
    **dict.fromkeys(_NUMBERS, "float64"),
    **dict.fromkeys(_WHOLE_NUMBERS, "Int64"),
}


def _row(video: Video) -> dict[str, object]:
    width, height = video.size or (None, None)
    return {
        "video": video.video_id,
        "name": video.name,
        "state": video.state,
        "made_at": video.made_at,
        "length_s": video.seconds,
        "width": width,
        "height": height,
        "frames": video.frames,
        "new_frames": video.new_frames,
        "slowdown": video.slowdown,
        "codec": video.codec,
        "interpolator": video.interpolator,
        "model": video.model,
        **{f"{stage}_s": video.stages.get(stage) for stage in STAGES},
        "all_stages_s": sum(video.stages.values()) if video.stages else None,
        "megapixels": video.megapixels,
        "megapixels_per_s": video.megapixels_per_second,
        "endpoint_s": video.endpoint_seconds,
        "cost_usd": video.cost_usd,
        "bytes": video.bytes,
        "notes": " ".join(video.notes),
        "losses": " ".join(video.losses),
        "result": video.result,
        "group": group_of(video),
        "told": len(video.notes) + len(video.losses),
    }


def group_of(video: Video) -> str:
    """The one of STATES that a video is in."""
    return video.state if video.state in STATES else UNDER_WAY
