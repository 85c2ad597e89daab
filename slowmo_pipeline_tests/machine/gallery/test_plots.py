"""The plots, read as the XML that they are."""

from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from slowmo_pipeline.machine.gallery.plots import BARS, _ticks, speed_plot, stages_plot
from slowmo_pipeline.machine.gallery.table import table_of
from slowmo_pipeline.machine.gallery.videos import Video

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def video(name: str = "a.mp4", *, hours: float = 0, interpolator: str = "flow", **stages: float) -> Video:
    """Ten megapixels of new frames."""
    return Video(
        f"{name}-0",
        "finished",
        name=name,
        result="final/a.mp4",
        made_at=NOON + timedelta(hours=hours),
        size=(1000, 1000),
        new_frames=10,
        interpolator=interpolator,
        stages=stages or {"interpolate": 5.0},
    )


def elements(svg: Markup | None, tag: str) -> list[ElementTree.Element]:
    assert svg is not None
    return ElementTree.fromstring(svg).findall(f".//{tag}")


def test_bars_are_as_long_as_their_stages_took() -> None:
    bars = elements(stages_plot(table_of([video(probe=1, cut=2, interpolate=6), video(encode=3)])), "rect")
    widths = {bar.attrib["class"].split()[1]: float(bar.attrib["width"]) + 1 for bar in bars}  # one is the gap
    assert widths["cut"] == pytest.approx(2 * widths["probe"], abs=0.1)
    assert widths["interpolate"] == pytest.approx(2 * widths["encode"], abs=0.1)


def test_the_latest_videos_have_a_bar() -> None:
    plot = stages_plot(table_of([video(f"{number}.mp4", hours=number) for number in range(BARS + 3)]))
    labels = [text.text for text in elements(plot, "text") if text.attrib["class"] == "label"]
    assert labels == [f"{number}.mp4" for number in reversed(range(3, BARS + 3))]


def test_points_lie_at_their_time_and_speed() -> None:
    plotted = speed_plot(
        table_of([video(interpolate=10), video(hours=4, interpolate=5), video(hours=8, interpolate=2.5)])
    )
    assert plotted
    places = sorted((float(point.attrib["cx"]), float(point.attrib["cy"])) for point in elements(plotted[0], "circle"))
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y1 - y2 == pytest.approx(2 * (y0 - y1), abs=0.1), "1, 2 and 4 megapixels a second; up is less"


def test_each_interpolator_has_a_colour_and_a_name() -> None:
    plotted = speed_plot(table_of([video(interpolator="flow"), video(interpolator="film")]))
    assert plotted
    assert plotted[1] == ["film", "flow"]
    assert {point.attrib["class"] for point in elements(plotted[0], "circle")} == {"fill kind-0", "fill kind-1"}


def test_axes_have_names() -> None:
    table = table_of([video()])
    speed = speed_plot(table)
    texts = [text.text for svg in (stages_plot(table), speed and speed[0]) for text in elements(svg, "text")]
    assert {"seconds", "megapixels a second", "made at (UTC)"} <= {*texts}


def test_nothing_is_plotted_of_nothing() -> None:
    assert stages_plot(table_of([])) is None
    assert speed_plot(table_of([Video("a-0", "registered")])) is None


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"/><rect onload="x', "&amp;", "{0} {{", "x" * 500])
def test_a_hostile_name_stays_a_text(name: str) -> None:
    table = table_of([video(name)])
    speed = speed_plot(table)
    for svg in (stages_plot(table), speed and speed[0]):
        titles = [title.text or "" for title in elements(svg, "title")]
        assert titles
        assert all(title.startswith(f"{name}: ") for title in titles)
        assert not elements(svg, "script")


@given(st.floats(1e-3, 1e7))
def test_ticks_are_few_and_hold_the_largest(largest: float) -> None:
    ticks = _ticks(largest)
    assert ticks[-1] >= largest * (1 - 1e-9)
    assert 3 <= len(ticks) <= 7
