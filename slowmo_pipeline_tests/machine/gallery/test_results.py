"""What has an address in the gallery and what has none, whatever is asked for and however."""

import os
from collections.abc import Iterator

import pytest

from slowmo_pipeline.steps.records import read_final_record
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.gallery import CONTENT, REPORT, Gallery, made, serving
from slowmo_pipeline_tests.support.stored import changed, root_of


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with serving(open_storage(str(tmp_path_factory.mktemp("gallery") / "storage"))) as gallery:
        yield gallery


@pytest.fixture(scope="module")
def video_id(gallery: Gallery) -> str:
    """A finished video, and beside it in the storage what no record names."""
    video_id = made(gallery.storage, "clip.mp4")
    for key in ("final/stray.mp4", f"final/{video_id}.mkv", f"final/{video_id}-0.mp4", "secret.txt", "settings.json"):
        gallery.storage.write(key, b"{}")
    root_of(gallery.storage).with_name("outside.txt").write_text("secret")
    return video_id


def test_results_are_served_as_what_they_are(gallery: Gallery, video_id: str) -> None:
    video, report = gallery.ask(f"/final/{video_id}.mp4"), gallery.ask(f"/final/{video_id}.html")
    assert (video.status, video.body, video.headers["content-type"]) == (200, CONTENT, "video/mp4")
    assert (report.status, report.body) == (200, REPORT)
    assert report.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "target",
    [
        "/final/stray.mp4",
        "/final/{id}.mkv",
        "/final/{id}-0.mp4",
        "/final/{id}.json",
        "/final/{id}",
        "/final/{id}.",
        "/final/{id}.mp4/",
        "/final/{id}.mp4%00",
        "/final/{id}.mp4%0a",
        "/final/{id}.MP4",
        "/final/x/{id}.mp4",
        "/final/./{id}.mp4/..",
        "/final/",
        "/final",
        "/final/../secret.txt",
        "/final/..%2fsecret.txt",
        "/final/%2e%2e%2fsecret.txt",
        "/final/%2e%2e/secret.txt",
        "/final/..%5csecret.txt",
        "/final/%252e%252e%252fsecret.txt",
        "/final/..%2f..%2foutside.txt",
        "/../outside.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/final/%2fetc%2fpasswd",
        "/secret.txt",
        "/settings.json",
        "/uploads/clip.mp4",
        "/videos/{id}/source.json",
        "/endpoints/flow.json",
        "/posters/stray.svg",
        "/posters/..%2f..%2fsecret.svg",
        "/posters/{id}%0a.svg",
        "/gallery.html.j2",
    ],
)
def test_what_no_record_names_is_not_there(gallery: Gallery, video_id: str, target: str) -> None:
    answer = gallery.ask(target.format(id=video_id))
    assert answer.status == 404
    assert answer.body == b"Not Found"


@pytest.mark.parametrize("key", ["uploads/clip.mp4", "secret.txt", "final/stray.mp4", "../outside.txt", "/etc/passwd"])
def test_a_record_that_was_edited_names_nothing_else(gallery: Gallery, video_id: str, key: str) -> None:
    edited = made(gallery.storage, "edited.mp4")
    final = read_final_record(gallery.storage, edited)
    assert final
    write_record(gallery.storage, VideoKeys(edited).finals[0], changed(final, key=key))
    for name in (f"{edited}.mp4", key.rpartition("/")[2]):
        assert gallery.ask(f"/final/{name}").status == 404
    assert key not in gallery.ask("/?text=edited").text


def test_a_result_that_is_gone_is_not_there(gallery: Gallery) -> None:
    video_id = made(gallery.storage, "gone.mp4")
    gallery.storage.delete([VideoKeys(video_id).final(".mp4")])
    assert gallery.ask(f"/final/{video_id}.mp4").status == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"])
@pytest.mark.parametrize("target", ["/", "/videos.csv", "/final/{id}.mp4", "/final/{id}.html", "/posters/{id}.svg"])
def test_another_host_is_refused_and_told_the_option(gallery: Gallery, video_id: str, host: str, target: str) -> None:
    answer = gallery.ask(target.format(id=video_id), host=host)
    assert answer.status == 400
    assert "start `slowmo up` with --allow-gallery-host" in answer.text


@pytest.mark.parametrize("target", ["/", "/videos.csv", "/final/{id}.mp4", "/posters/{id}.svg"])
def test_pages_of_others_read_and_embed_nothing(gallery: Gallery, video_id: str, target: str) -> None:
    asked = target.format(id=video_id)
    assert gallery.ask(asked, Origin="http://evil.example").status == 403
    assert gallery.ask(asked, Origin="null").status == 403
    for site in ("cross-site", "same-site"):
        assert gallery.ask(asked, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image").status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("target", ["/", "/videos.csv", "/final/{id}.mp4", "/final/new.mp4"])
def test_nothing_but_reading_is_taken(gallery: Gallery, video_id: str, method: str, target: str) -> None:
    before = stored(gallery.storage)
    answer = gallery.ask(target.format(id=video_id), method, Content_Type="application/json", Content_Length="0")
    assert answer.status == 405
    assert stored(gallery.storage) == before


def stored(storage: Storage) -> dict[str, str]:
    return {entry.key: entry.version for prefix in ("final/", "videos/", "uploads/") for entry in storage.list(prefix)}


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-0", 0, 1), ("bytes=100-299", 100, 300), ("bytes=2000-", 2000, 2048), ("bytes=-5", 2043, 2048)],
)
def test_a_part_of_a_video_is_just_that_part(gallery: Gallery, video_id: str, asked: str, begin: int, end: int) -> None:
    answer = gallery.ask(f"/final/{video_id}.mp4", Range=asked)
    assert (answer.status, answer.body) == (206, CONTENT[begin:end])
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(CONTENT)}"


def test_a_part_behind_the_end_is_refused(gallery: Gallery, video_id: str) -> None:
    assert gallery.ask(f"/final/{video_id}.mp4", Range="bytes=2048-").status == 416


def test_head_tells_the_length_and_sends_nothing(gallery: Gallery, video_id: str) -> None:
    answer = gallery.ask(f"/final/{video_id}.mp4", "HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(len(CONTENT)), b"")
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_report_is_shut_in_a_sandbox_of_no_origin(gallery: Gallery, video_id: str) -> None:
    policy = gallery.ask(f"/final/{video_id}.html").headers["content-security-policy"]
    sandbox = next(each for each in policy.split(";") if each.startswith("sandbox"))
    assert sandbox.split() == ["sandbox", "allow-scripts", "allow-downloads"]
    assert "connect-src" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    "target", ["/", "/videos.csv", "/gallery.css", "/posters/{id}.svg", "/final/{id}.mp4", "/final/no.mp4", "/no"]
)
def test_no_other_answer_may_run_a_script_or_be_guessed_at(gallery: Gallery, video_id: str, target: str) -> None:
    headers = gallery.ask(target.format(id=video_id)).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_a_storage_that_cannot_be_read_is_told_in_a_sentence(tmp_path: "os.PathLike[str]") -> None:
    storage = FolderStorage(root_of(open_storage(f"{tmp_path}/here")))
    with serving(storage) as gallery:
        storage.root.rmdir()
        answer = gallery.ask("/")
    assert answer.status == 503
    assert str(storage.root) in answer.text
    assert "Traceback" not in answer.text


def test_a_poster_is_a_frame_of_the_filmstrip(gallery: Gallery) -> None:
    video_id = made(gallery.storage, "poster.mp4", filmstrip="aGVsbG8=")
    answer = gallery.ask(f"/posters/{video_id}.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert 'href="data:image/jpeg;base64,aGVsbG8="' in answer.text
    assert 'width="64" height="48"' in answer.text


def test_a_filmstrip_that_is_none_puts_nothing_into_the_poster(gallery: Gallery) -> None:
    video_id = made(gallery.storage, "film.mp4", filmstrip='"/><script>alert(1)</script>')
    assert "<script" not in gallery.ask(f"/posters/{video_id}.svg").text
