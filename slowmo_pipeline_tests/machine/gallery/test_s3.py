"""A gallery over a bucket: videos come from S3 itself, by links; what is the same is not read again."""

import http.client
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from slowmo_pipeline.machine.gallery.videos import Videos
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy
from slowmo_pipeline_tests.support.gallery import CONTENT, REPORT, Gallery, made, serving
from slowmo_pipeline_tests.support.videos import drop


@pytest.fixture
def gallery(s3_url: str) -> Iterator[Gallery]:
    with serving(open_storage(s3_url)) as gallery:
        yield gallery


def test_a_video_comes_by_a_link_that_a_browser_can_seek_in(gallery: Gallery) -> None:
    video_id = made(gallery.storage, "clip.mp4")
    link = gallery.ask(f"/final/{video_id}.mp4").headers["location"]
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Range": "bytes=100-199"})
    answer = connection.getresponse()

    assert (answer.status, answer.read()) == (206, CONTENT[100:200])
    assert answer.headers["Content-Type"] == "video/mp4"
    asked = parse_qs(parts.query)
    assert (asked["X-Amz-Algorithm"], asked["X-Amz-Expires"]) == (["AWS4-HMAC-SHA256"], ["3600"])


def test_head_has_a_link_of_its_own(gallery: Gallery) -> None:
    """A signature holds for one method."""
    video_id = made(gallery.storage, "clip.mp4")
    get, head = (gallery.ask(f"/final/{video_id}.mp4", method).headers["location"] for method in ("GET", "HEAD"))
    assert parse_qs(urlsplit(get).query)["X-Amz-Signature"] != parse_qs(urlsplit(head).query)["X-Amz-Signature"]


def test_a_report_comes_through_the_gallery_in_its_sandbox(gallery: Gallery) -> None:
    video_id = made(gallery.storage, "clip.mp4")
    answer = gallery.ask(f"/final/{video_id}.html")
    assert (answer.status, answer.body) == (200, REPORT)
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts")


def test_no_address_is_one_that_no_browser_opens(gallery: Gallery) -> None:
    made(gallery.storage, "clip.mp4")
    assert "s3://" not in gallery.ask("/").text
    assert "s3://" not in gallery.ask("/videos.csv").text


def test_what_has_not_changed_is_not_read_again(proxy: FaultProxy, s3_url: str) -> None:
    storage = open_storage(s3_url)
    made(storage, "clip.mp4")
    videos = Videos(storage)
    before = videos.all()
    proxy.asked.clear()
    assert videos.all() == before
    assert ["list-type=2" in asked.path for asked in proxy.asked] == [True] * 3, "videos, finals, endpoints"

    drop(storage, key="uploads/other.mp4")
    assert {video.state for video in videos.all()} == {"finished", "registered"}
