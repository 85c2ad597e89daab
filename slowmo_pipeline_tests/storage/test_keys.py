"""The spelling of keys."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.storage.keys import (
    VideoKeys,
    endpoint_key,
    sidecar_key,
    upload_key,
    video_id_of,
    video_id_of_pending,
)

UPLOAD_KEYS = st.text(st.characters(codec="utf-8") | st.sampled_from("/. _-#,"), max_size=80).map("uploads/".__add__)


@given(UPLOAD_KEYS)
def test_video_id_suits_dagster_and_the_storage(key: str) -> None:
    video_id = video_id_of(key)

    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]*-[0-9a-f]{16}", video_id)
    assert len(video_id) <= 65
    assert video_id_of_pending(VideoKeys(video_id).pending) == video_id


@given(st.sets(UPLOAD_KEYS, max_size=50))
def test_video_ids_are_unique(keys: set[str]) -> None:
    assert len({video_id_of(key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("key", "slug"),
    [
        ("uploads/ab12cd34/My Clip (final).MOV", "my-clip-final"),
        ("uploads/" + "x" * 60 + ".mp4", "x" * 48),
        ("uploads/日本.mp4", "riben"),
        ("uploads/117001/影片.mp4", "yingpian"),
        ("uploads/Матч №3.mp4", "match-no3"),
        ("uploads/مباراة.mp4", "mbrh"),
        ("uploads/…….mp4", "video"),
        ("uploads/snake_case.tar.mp4", "snake_case-tar"),
        ("uploads/not unicode \udcff.mp4", "not-unicode"),
    ],
)
def test_video_id_is_readable(key: str, slug: str) -> None:
    assert video_id_of(key).rpartition("-")[0] == slug


def test_same_name_in_two_folders_is_two_videos() -> None:
    assert video_id_of(upload_key("a.mp4", sha256="1" * 64)) != video_id_of(upload_key("a.mp4", sha256="2" * 64))


def test_keys() -> None:
    """What stands in people's buckets: another spelling here loses sight of it."""
    keys = VideoKeys("clip-12345678")
    results = keys.plan("0123456789abcdef").model("flow-1")

    assert [keys.source, keys.info, keys.current, keys.stages, keys.pending, keys.final(".mp4"), *keys.finals] == [
        "videos/clip-12345678/source.json",
        "videos/clip-12345678/info.json",
        "videos/clip-12345678/current.json",
        "videos/clip-12345678/stages.json",
        "pending/clip-12345678.json",
        "final/clip-12345678.mp4",
        "final/clip-12345678.json",
        "final/clip-12345678.html",
    ]
    assert [keys.plan("0123456789abcdef").plan, keys.plan("0123456789abcdef").chunk(7)] == [
        "videos/clip-12345678/0123456789abcdef/plan.json",
        "videos/clip-12345678/0123456789abcdef/chunks/00007.tar",
    ]
    assert [results.result(7), results.receipt(123456)] == [
        "videos/clip-12345678/0123456789abcdef/flow-1/results/00007.tar",
        "videos/clip-12345678/0123456789abcdef/flow-1/receipts/123456.json",
    ]
    assert sidecar_key("uploads/a.mp4") == "uploads/a.mp4.slowmo.json"
    assert endpoint_key("flow") == "endpoints/flow.json"
