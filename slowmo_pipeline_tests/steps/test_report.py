"""The page of a finished video: what it shows, that it asks nobody for anything, and that names are only names."""

import base64
import io
import re
from collections.abc import Iterator
from fractions import Fraction

import av
import pytest

from slowmo_pipeline.planning.clock import constant_rate
from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.planning.track import plain_track
from slowmo_pipeline.planning.warp import even_warp
from slowmo_pipeline.steps.assemble import previewed_outputs
from slowmo_pipeline.steps.records import read_active_plan, read_final
from slowmo_pipeline.steps.report import write_report
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline_tests.support.html_page import HtmlPage
from slowmo_pipeline_tests.support.pipeline import TestPipeline, fade_pipeline

HOSTILE = '<img src="x" onerror="alert(1)"> {{ 7*7 }} & co.mp4'


def addresses(page: HtmlPage) -> list[str]:
    return [value for _, found in page.elements for name in ("src", "href") if (value := found.get(name)) is not None]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPipeline]:
    with fade_pipeline(tmp_path_factory.mktemp("home")) as pipeline:
        yield pipeline


def page_of(pipeline: TestPipeline, video_id: str) -> HtmlPage:
    return HtmlPage(pipeline.storage.read(VideoKeys(video_id).finals[1]).decode())


def levels(data: str) -> list[tuple[int, int]]:
    """The greys of both halves of each picture of an MP4 in base64."""
    with av.open(io.BytesIO(base64.b64decode(data))) as container:
        pictures = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
    return [(int(picture[4, 4, 0]), int(picture[4, -4, 0])) for picture in pictures]


def test_the_clip_slowed_by_repeating_stands_beside_the_result(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("beside.mp4")
    assert pipeline.run(video_id).success
    [video] = [found["src"] for tag, found in page_of(pipeline, video_id).elements if tag == "video"]
    assert video is not None
    pairs = levels(video.removeprefix("data:video/mp4;base64,"))
    sources, results = zip(*pairs, strict=True)
    assert len(pairs) == 24
    assert all(len({*sources[at : at + 4]}) == 1 for at in range(0, 24, 4))
    assert sources[::4] == pytest.approx(results[::4], abs=3)
    assert sorted(results) == list(results)


def test_the_page_asks_nobody_for_anything_but_the_result(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("alone.mp4")
    assert pipeline.run(video_id).success
    page = page_of(pipeline, video_id)
    assert [address for address in addresses(page) if not address.startswith("data:")] == [f"{video_id}.mp4"]
    assert not re.search(r"https?://|url\(|@import", page.text)


def test_a_name_is_only_a_name(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop(HOSTILE)
    assert pipeline.run(video_id).success
    page = page_of(pipeline, video_id)
    assert HOSTILE in page.text
    assert not [found for _, found in page.elements if any(name.startswith("on") for name in found)]


def test_stages_and_checks_are_told_when_they_are_known(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("told.mp4")
    assert pipeline.run(video_id).success
    told = page_of(pipeline, video_id).text
    for stage in ("probe", "cut", "interpolate", "encode", "verify"):
        assert re.search(rf"{stage} \d+\.\d s", told)
    assert "✓ Decoded: 24 of 24 frames, 0.960 of 0.960 s." in told

    active, final = read_active_plan(pipeline.storage, video_id), read_final(pipeline.storage, video_id)
    assert final is not None
    write_report(pipeline.storage, active, final)
    assert "Decoded" not in page_of(pipeline, video_id).text


def test_a_video_finished_before_there_were_previews_has_a_page(pipeline: TestPipeline) -> None:
    video_id = pipeline.drop("early.mp4")
    assert pipeline.run(video_id).success
    pipeline.storage.delete([VideoKeys(video_id).preview])
    assert pipeline.run(video_id).success
    page = page_of(pipeline, video_id)
    assert not {"video", "script"} & {tag for tag, _ in page.elements}


@pytest.mark.parametrize("rate", [Fraction(1, 400), Fraction(24), Fraction(240), Fraction(1000)])
def test_a_preview_is_short_at_any_rate(rate: Fraction) -> None:
    timeline = TimeLine(
        plain_track(constant_rate(rate, 5000)), even_warp(Fraction(1, 4), Fraction(0), 5000 / rate), rate
    )
    shown = previewed_outputs(timeline)
    assert 1 <= len(shown) <= 300
    assert len(shown) == 1 or len(shown) * shown.step / rate <= 15
    assert rate / shown.step <= 60
    assert shown.stop <= timeline.output_count
