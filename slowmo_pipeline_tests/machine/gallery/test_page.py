"""The page of all videos, and their table as CSV, over videos in each state and names that mean harm."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pandas as pd
import pytest

from slowmo_pipeline.machine.gallery.videos import shown
from slowmo_pipeline.storage.keys import VideoKeys, endpoint_key
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.gallery import Gallery, made, serving
from slowmo_pipeline_tests.support.html_page import HtmlPage
from slowmo_pipeline_tests.support.videos import drop, drop_and_cut, serve

HOSTILE = [
    "<script>alert(1)<script>.mp4",
    '"onmouseover="alert(1)" x=".mp4',
    "'><img src=x onerror=alert(1)>.mp4",
    "..%2f..%2fsecret.mp4",
    "%2e%2e.mp4",
    "two\nlines\r.mp4",
    "{{ 7*7 }}{% raw %}.mp4",
    "&lt;b&gt;.mp4",
    "\udcff\u202egpj.mp4",
    "=cmd|' 'calc'!A0.mp4",
    "\uff1d1+1.mp4",
    "@SUM(1).mp4",
    "+1.mp4",
    "-1.mp4",
]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """Videos of hostile names, and one in each state."""
    storage = open_storage(str(tmp_path_factory.mktemp("gallery") / "storage"))
    for name in HOSTILE:
        made(storage, name, notes=(f"about {name}",))
    made(storage, "cheap.mp4", seconds=1.0, instance_type="ml.g5.xlarge", chunk_seconds=(36.0,), notes=())
    made(storage, "dear.mp4", seconds=2.0, instance_type="ml.g5.xlarge", chunk_seconds=(3600.0,), losses=("lost",))
    drop(storage, key="uploads/dropped.mp4")
    drop_and_cut(storage, key="uploads/waiting.mp4")
    torn = drop(storage, key="uploads/torn.mp4")
    storage.write(VideoKeys(torn).source, b'{"upload')
    with serving(storage) as gallery:
        yield gallery


@pytest.fixture(scope="module")
def page(gallery: Gallery) -> HtmlPage:
    return HtmlPage(gallery.ask("/").text)


def names(gallery: Gallery, question: str) -> list[str]:
    """The names on a page, in their order."""
    text = gallery.ask(f"/?{question}").text
    return [line.partition("<strong>")[2].partition("</strong>")[0] for line in text.splitlines() if "<strong>" in line]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_text(page: HtmlPage, name: str) -> None:
    assert shown(name) in page.texts
    assert f"about {shown(name)}" in page.texts


def test_nothing_on_the_page_runs(page: HtmlPage) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "style", "base"}
    assert not [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
    ]


def test_every_address_on_the_page_is_the_gallerys_own_and_answers(gallery: Gallery, page: HtmlPage) -> None:
    found = {attributes.get(name) for _, attributes in page.elements for name in ("href", "src", "action")} - {None}
    addresses = {address for address in found if address and not address.startswith("#")}
    assert len(addresses) > len(HOSTILE)
    assert {gallery.ask(address).status for address in addresses} == {200}


def test_each_state_is_told_and_one_torn_record_hides_no_other(page: HtmlPage) -> None:
    assert {"finished", "registered", "0 of 1 chunks interpolated", "unreadable"} <= {*page.texts}
    assert any("source.json is damaged" in text for text in page.texts)


def test_seconds_and_cost_are_told(page: HtmlPage) -> None:
    assert {"5.0", "10.0", "$1.4080", "probe 2.0"} <= {*page.texts}


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("text=CHEAP", ["cheap.mp4"]),
        ("text=lost", ["dear.mp4"]),
        ("state=unreadable", [""]),
        ("text=a.*p", []),
        ("state=under+way&order=name", ["dropped.mp4", "waiting.mp4"]),
        ("text=e&state=finished&order=cost", ["dear.mp4", "cheap.mp4"]),
        ("text=ea&state=finished&order=slowest", ["dear.mp4", "cheap.mp4"]),
    ],
)
def test_the_page_shows_what_is_asked_for_in_its_order(gallery: Gallery, question: str, found: list[str]) -> None:
    told = names(gallery, question)
    assert [name for name in told if name in {"cheap.mp4", "dear.mp4", "dropped.mp4", "waiting.mp4"}] == [
        name for name in found if name
    ]
    assert len(told) >= len(found)


@pytest.mark.parametrize("question", ["order=drop+table", "state=none", "from=-1", "from=1e9", "from=%D9%A1", "x=y"])
def test_a_question_that_means_nothing_is_none(gallery: Gallery, question: str) -> None:
    assert len(names(gallery, question)) == len(names(gallery, ""))


def test_what_is_looked_for_is_shown_as_a_text(gallery: Gallery) -> None:
    asked = '"><script>alert(1)</script>'
    page = HtmlPage(gallery.ask(f"/?text={quote(asked)}").text)
    assert ("script", {}) not in page.elements
    [field] = [attributes for tag, attributes in page.elements if tag == "input"]
    assert field["value"] == asked


def test_the_table_opens_in_pandas_with_what_the_page_shows(gallery: Gallery) -> None:
    table = pd.read_csv(io.BytesIO(gallery.ask("/videos.csv").body)).set_index("name")
    assert len(table) == len(HOSTILE) + 5
    dear = table.loc["dear.mp4"]
    assert (dear["state"], dear["interpolate_s"], dear["all_stages_s"], dear["width"]) == ("finished", 2.0, 10.0, 64)
    assert dear["megapixels_per_s"] == pytest.approx(dear["new_frames"] * 64 * 48 / 1e6 / 2)
    assert pd.to_datetime(dear["made_at"]).tzinfo is not None


def test_no_text_of_the_table_is_a_formula(gallery: Gallery) -> None:
    table = pd.read_csv(io.BytesIO(gallery.ask("/videos.csv").body), dtype=str)
    texts = table[["name", "notes", "losses", "state", "video"]].to_numpy().ravel()
    assert not [text for text in texts if isinstance(text, str) and text[0] in "=+-@\t\r\n\uff1d"]
    assert "'=cmd|' 'calc'!A0.mp4" in texts


def test_the_table_is_of_what_is_asked_for(gallery: Gallery) -> None:
    table = pd.read_csv(io.BytesIO(gallery.ask("/videos.csv?text=cheap").body))
    assert list(table["name"]) == ["cheap.mp4"]


def test_a_video_that_another_model_is_served_for_is_told_at_the_next_look(gallery: Gallery) -> None:
    before = gallery.storage.read(endpoint_key("flow"))
    serve(gallery.storage, model_id="fade-2")
    try:
        assert "finished, with an older model" in HtmlPage(gallery.ask("/?text=cheap").text).texts
    finally:
        gallery.storage.write(endpoint_key("flow"), before)
    assert "finished" in HtmlPage(gallery.ask("/?text=cheap").text).texts


def test_an_empty_storage_says_how_to_begin(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(open_storage(str(tmp_path_factory.mktemp("empty")))) as gallery:
        assert "No videos yet" in gallery.ask("/").text
        assert gallery.ask("/videos.csv").text.startswith("video,name,state")


def test_many_videos_are_shown_by_pages(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.machine.gallery.application.PAGE_ROWS", 4)
    first, second = names(gallery, "order=name"), names(gallery, "order=name&from=4")
    assert (len(first), len(second)) == (4, 4)
    assert "/?text=&amp;state=&amp;order=name&amp;from=4" in gallery.ask("/?order=name").text


def test_starting_the_gallery_stays_light() -> None:
    program = "import json, sys; import slowmo_pipeline.machine.gallery.server; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = json.loads(done.stdout)
    assert "uvicorn" in loaded
    assert not {"cv2", "dagster", "pandas", "tensorflow"} & {*loaded}
