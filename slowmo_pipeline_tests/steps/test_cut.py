"""From an upload to the chunks that its plan wants, and no others."""

import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowmo_pipeline.chunks.documents import MAX_NUMBER
from slowmo_pipeline.chunks.files import ChunkReader
from slowmo_pipeline.errors import (
    DiskFullError,
    EndpointError,
    UnknownVideoError,
    VideoTooLargeError,
)
from slowmo_pipeline.frames import Frame
from slowmo_pipeline.planning.clock import constant_rate
from slowmo_pipeline.planning.plan import Chunk, NewFrame, Plan
from slowmo_pipeline.planning.track import plain_track
from slowmo_pipeline.settings import SlowMotionSettings, parse_settings
from slowmo_pipeline.steps.cut import Cut, _Window, chunk_table, cut
from slowmo_pipeline.steps.inspect_upload import inspect_upload
from slowmo_pipeline.steps.planning import plan_of
from slowmo_pipeline.steps.records import read_active_plan
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.folder import FolderStorage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import PlanKeys, VideoKeys, sidecar_key
from slowmo_pipeline.video.reader import Limits, probe
from slowmo_pipeline_tests.support.media import FILM_RATE, NTSC_RATE, grey_frames, grey_numbers, write_clip
from slowmo_pipeline_tests.support.stored import changed
from slowmo_pipeline_tests.support.timelines import constant, positions
from slowmo_pipeline_tests.support.videos import UPLOAD, clip, drop, drop_and_cut, finish, info_of, looked, quiet, serve

LIMITS = Limits(max_bytes=10**9, max_pixels=10**8, max_frames=10**6, max_seconds=10**5)


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gaps each: the clip of nine frames makes four chunks."""
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_INTERVALS", 2)


def keys_of(storage: Storage, video_id: str) -> PlanKeys:
    return read_active_plan(storage, video_id).keys


def keys_below(storage: Storage, prefix: str) -> set[str]:
    return {entry.key for entry in storage.list(prefix)}


def settings_of(**values: Any) -> SlowMotionSettings:
    return parse_settings(values, origin="test")


def test_chunks_hold_what_the_plan_wants(storage: Storage) -> None:
    video_id, done = drop_and_cut(storage)
    keys = keys_of(storage, video_id)

    assert (done.written, len(done.active.plan.chunks)) == (4, 4)
    assert keys_below(storage, keys.chunks) == {keys.chunk(chunk.index) for chunk in done.active.plan.chunks}
    for chunk in done.active.plan.chunks:
        reader = ChunkReader(io.BytesIO(storage.read(keys.chunk(chunk.index))))
        numbers = list(range(chunk.first_anchor, chunk.last_anchor + 1))
        assert list(reader.frame_numbers) == numbers
        assert [NewFrame(want.output, want.frame, want.t) for want in reader.wants] == list(
            done.active.plan.new_frames(chunk)
        )
        assert grey_numbers(frame for _, frame in reader.frames()) == numbers


def test_gap_split_over_chunks_sends_its_frames_with_each(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.planning.plan.MAX_CHUNK_IMAGES", 6)
    video_id, done = drop_and_cut(folder, frames=3, slowdown=10)
    keys = keys_of(folder, video_id)

    assert [(chunk.first_anchor, chunk.new_frame_count) for chunk in done.active.plan.chunks] == [(0, 3)] * 3 + [
        (1, 3)
    ] * 3
    for chunk in done.active.plan.chunks:
        reader = ChunkReader(io.BytesIO(folder.read(keys.chunk(chunk.index))))
        assert [want.t for want in reader.wants] == [Fraction(step, 10) for step in range(1, 10)]
        assert reader.outputs == list(range(chunk.first_output, chunk.end_output))
        assert grey_numbers(frame for _, frame in reader.frames()) == [chunk.first_anchor, chunk.first_anchor + 1]


def test_plan_of_before_keeps_its_chunks(folder: Storage) -> None:
    """Gaps were split by their bytes once, and the rest of one joined with the next."""
    video_id, done = drop_and_cut(folder, frames=3, slowdown=4)
    keys = keys_of(folder, video_id)
    earlier = replace(done.active.plan, chunks=(Chunk(0, 0, 1, 1, 3, 2), Chunk(1, 0, 2, 3, 8, 4)))
    folder.write(keys.plan, earlier.to_json())
    folder.delete(keys_below(folder, keys.chunks))

    assert cut(folder, video_id, progress=quiet).active.plan == earlier == read_active_plan(folder, video_id).plan
    readers = [ChunkReader(io.BytesIO(folder.read(keys.chunk(index)))) for index in (0, 1)]
    assert [reader.outputs for reader in readers] == [[1, 2], [3, 5, 6, 7]]
    assert [len(reader.wants) for reader in readers] == [3, 6]


@pytest.mark.parametrize("torn", [b'{"format":2', None], ids=["torn", "gone"])
def test_chunks_of_an_earlier_cutting_go_with_their_plan(
    folder: Storage, monkeypatch: pytest.MonkeyPatch, torn: bytes | None
) -> None:
    """Else results of gaps that were split would be taken for those of whole ones, for ever."""
    monkeypatch.setattr("slowmo_pipeline.steps.cut.MAX_CHUNK_BYTES", 4 * 64 * 48 * 3)
    video_id, done = drop_and_cut(folder, frames=3, slowdown=4)
    keys = keys_of(folder, video_id)
    folder.write(keys.chunk(7), b"of another cutting")
    folder.write(keys.model("fade-1").result(0), b"of another cutting")
    folder.delete([keys.plan]) if torn is None else folder.write(keys.plan, torn)

    assert cut(folder, video_id, progress=quiet).active.plan == done.active.plan
    assert keys_below(folder, keys.prefix) == {keys.plan, keys.chunk(0)}


def test_torn_plan_is_made_anew(folder: Storage) -> None:
    video_id, first = drop_and_cut(folder)
    folder.write(keys_of(folder, video_id).plan, b'{"format":2')

    assert (
        cut(folder, video_id, progress=quiet).active.plan
        == first.active.plan
        == read_active_plan(folder, video_id).plan
    )


def test_plan_is_stored_and_in_force(storage: Storage) -> None:
    video_id, done = drop_and_cut(storage, slowdown="5/2")
    active = read_active_plan(storage, video_id)

    assert active.plan == done.active.plan
    assert active.versions == done.active.versions
    assert active.plan.timeline.slowdown == Fraction(5, 2)
    assert (done.active.versions.interpolator, done.active.versions.model_id) == ("flow", "fade-1")


def test_cutting_again_writes_nothing(storage: Storage) -> None:
    video_id, first = drop_and_cut(storage)
    before = set(storage.list(keys_of(storage, video_id).chunks))
    again = cut(storage, video_id, progress=quiet)

    assert again == Cut(first.active, written=0)
    assert set(storage.list(keys_of(storage, video_id).chunks)) == before


def test_missing_chunks_are_written_with_the_same_bytes(storage: Storage) -> None:
    video_id, _ = drop_and_cut(storage)
    keys = keys_of(storage, video_id)
    before = {index: storage.read(keys.chunk(index)) for index in range(4)}
    storage.delete([keys.chunk(1), keys.chunk(3)])

    assert cut(storage, video_id, progress=quiet).written == 2
    assert {index: storage.read(keys.chunk(index)) for index in range(4)} == before


def test_chunk_whose_result_is_there_is_not_needed(storage: Storage) -> None:
    video_id, _ = drop_and_cut(storage)
    keys = keys_of(storage, video_id)
    storage.delete([keys.chunk(1), keys.chunk(2)])
    storage.write(keys.model("fade-1").result(1), b"result")

    assert cut(storage, video_id, progress=quiet).written == 1
    assert keys_below(storage, keys.chunks) == {keys.chunk(0), keys.chunk(2), keys.chunk(3)}


def test_results_of_another_model_do_not_count(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    keys = keys_of(folder, video_id)
    folder.delete([keys.chunk(1)])
    folder.write(keys.model("fade-0").result(1), b"result")

    assert cut(folder, video_id, progress=quiet).written == 1


def test_new_model_keeps_plan_and_chunks(folder: Storage) -> None:
    video_id, first = drop_and_cut(folder)
    serve(folder, model_id="fade-2")
    again = cut(folder, video_id, progress=quiet)

    assert (again.written, again.active.versions.plan, again.active.versions.model_id) == (
        0,
        first.active.versions.plan,
        "fade-2",
    )


def test_finished_video_is_not_cut_again(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    finish(folder, video_id)
    folder.delete(keys_below(folder, keys_of(folder, video_id).chunks))

    assert cut(folder, video_id, progress=quiet).written == 0


def test_video_with_nothing_to_make_has_a_plan_and_no_chunks(folder: Storage) -> None:
    video_id, done = drop_and_cut(folder, slowdown=1)

    assert (done.written, done.active.plan.chunks) == (0, ())
    assert read_active_plan(folder, video_id).plan.timeline.output_count == 9


def test_other_settings_make_another_plan_beside_the_first(folder: Storage) -> None:
    video_id, first = drop_and_cut(folder)
    looked(folder, video_id, slowdown=2)
    with pytest.raises(UnknownVideoError, match="materialise frame_chunks first"):
        read_active_plan(folder, video_id)
    second = cut(folder, video_id, progress=quiet)

    assert second.active.versions.plan != first.active.versions.plan
    assert keys_of(folder, video_id).plan.endswith(f"{second.active.versions.plan}/plan.json")
    assert keys_below(folder, VideoKeys(video_id).plan(first.active.versions.plan).chunks)


def test_plan_that_was_lost_is_made_again(folder: Storage) -> None:
    video_id, first = drop_and_cut(folder)
    folder.delete([keys_of(folder, video_id).plan])
    with pytest.raises(UnknownVideoError, match="materialise frame_chunks first"):
        read_active_plan(folder, video_id)

    assert (
        cut(folder, video_id, progress=quiet).active.plan
        == first.active.plan
        == read_active_plan(folder, video_id).plan
    )


def test_endpoint_must_have_served_before(folder: Storage) -> None:
    video_id = drop(folder)
    looked(folder, video_id)
    with pytest.raises(EndpointError, match="No endpoint named 'flow' has served the storage"):
        cut(folder, video_id, progress=quiet)


def test_video_must_have_been_looked_at(folder: Storage) -> None:
    with pytest.raises(UnknownVideoError, match="materialise raw_video first"):
        cut(folder, drop(folder), progress=quiet)


@pytest.mark.parametrize("content", [clip(9), clip(12), b"no video"], ids=["touched", "longer", "no video"])
def test_upload_that_changed_since_is_refused(folder: Storage, content: bytes) -> None:
    video_id = drop(folder)
    serve(folder)
    looked(folder, video_id)
    folder.write(UPLOAD, content)
    with pytest.raises(UnknownVideoError, match="another one since it was looked at: materialise raw_video again"):
        cut(folder, video_id, progress=quiet)

    assert keys_below(folder, VideoKeys(video_id).prefix).isdisjoint({VideoKeys(video_id).current})


def test_sidecar_that_changed_since_is_no_matter(folder: Storage) -> None:
    video_id = drop(folder)
    serve(folder)
    folder.write(sidecar_key(UPLOAD), b"{}")
    looked(folder, video_id)
    folder.write(sidecar_key(UPLOAD), b'{"slowdown": 2}')

    assert cut(folder, video_id, progress=quiet).active.plan.timeline.slowdown == 4


def test_full_disk_is_refused_before_anything_is_written(folder: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    video_id = drop(folder)
    serve(folder)
    looked(folder, video_id)
    before = keys_below(folder, "videos/")
    # Nine frames, three of which travel twice, and 24 new ones: 64x48 pixels each, of which QOI takes three quarters.
    needed = (9 + 3 + 24) * 64 * 48 * 3 * 3 // 4
    free = needed - 1
    monkeypatch.setattr(FolderStorage, "free_bytes", lambda storage: free)
    with pytest.raises(
        DiskFullError, match=r"need about 248\.8 kB, and .* has 248\.8 kB free\. Free some, run `slowmo cl"
    ):
        cut(folder, video_id, progress=quiet)
    assert keys_below(folder, "videos/") == before

    free = needed
    assert cut(folder, video_id, progress=quiet).written == 4


def test_jpeg_travels_when_chosen(folder: Storage) -> None:
    sizes = {}
    for images in ("lossless", "jpeg"):
        video_id, _ = drop_and_cut(folder, images=images)
        chunk = folder.read(keys_of(folder, video_id).chunk(0))
        sizes[images] = ChunkReader(io.BytesIO(chunk)).image_format.value

    assert sizes == {"lossless": "lossless", "jpeg": "jpeg"}


def test_progress_counts_frames(folder: Storage) -> None:
    video_id = drop(folder)
    serve(folder)
    looked(folder, video_id)
    told: list[tuple[str, int, int, str]] = []
    cut(folder, video_id, progress=lambda *report: told.append(report))

    assert told == [("cut", number, 9, "frames") for number in range(1, 10)]


def test_chunk_table(folder: Storage) -> None:
    table = chunk_table(drop_and_cut(folder)[1].active.plan)

    assert len(table) == 4
    assert table[0] == {"chunk": 0, "frames": "0 to 2", "outputs": "1 to 7", "new frames": 6}


def test_more_outputs_than_can_be_numbered_are_refused_at_once() -> None:
    long = changed(info_of(9), ticks=tuple(range(100_000)), time_base=Fraction(1, 24))
    with pytest.raises(VideoTooLargeError, match=f"would have 100100000 frames, allowed are {MAX_NUMBER}: lower"):
        plan_of(long, settings_of(slowdown=1000, frame_rate="24.024"))


def test_window_keeps_two_frames_however_long_the_video() -> None:
    made = 0

    def frames() -> Iterator[tuple[int, Frame]]:
        nonlocal made
        for number in range(200):
            made += 1
            yield number, np.zeros((100, 100, 3), np.uint8)

    window = _Window(frames(), plain_track(constant(24, 200)), 200, quiet)
    tracemalloc.start()
    for index in range(99):
        for number, _ in window.frames(range(2 * index, 2 * index + 3)):
            assert number <= 2 * index + 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert made == 199
    assert peak < 6 * 30_000


@pytest.mark.parametrize("rate", [FILM_RATE, NTSC_RATE], ids=["23.976", "29.97"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".webm"])
def test_every_container_keeps_every_original(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", grey_frames(47), rate=rate)
    info = probe(path, limits=LIMITS)
    plan = plan_of(info, settings_of(slowdown=4))

    assert plan.timeline.track == plain_track(constant_rate(rate, 47))
    assert plan.timeline.frame_rate == rate
    assert plan.timeline.output_count == 4 * 47
    assert originals(plan) == {4 * frame: frame for frame in range(46)} | dict.fromkeys(range(184, 188), 46)
    assert plan.new_frame_count == 3 * 46


def originals(plan: Plan) -> dict[int, int]:
    """Outputs that show a frame as it is, each with the frame."""
    return {output: anchor for output, (anchor, t) in enumerate(positions(plan.timeline)) if t == 0}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_variable_clip_keeps_every_original_in_its_place(tmp_path: Path, suffix: str) -> None:
    places = [place for place in range(48) if place % 4 != 3 or place == 47]  # every fourth frame is missing
    base = Fraction(1, 90_000)
    path = write_clip(
        tmp_path / f"clip{suffix}",
        grey_frames(len(places)),
        rate=Fraction(30),
        ticks=[3000 * place for place in places],
        time_base=base,
    )
    plan = plan_of(probe(path, limits=LIMITS), settings_of(slowdown=4, frame_rate=30))
    shown = originals(plan)

    assert plan.timeline.track.count == len(places)
    assert {output: frame for output, frame in shown.items() if output <= 4 * 47} == {
        4 * place: frame for frame, place in enumerate(places)
    }


def cut_as_it_is(folder: Storage, **settings: Any) -> tuple[Plan, list[ChunkReader]]:
    """Look at a clip of nine grey frames, and cut it."""
    video_id = drop(folder)
    serve(folder)
    inspect_upload(folder, video_id, chosen=settings, progress=quiet)
    plan, keys = cut(folder, video_id, progress=quiet).active.plan, keys_of(folder, video_id)
    return plan, [ChunkReader(io.BytesIO(folder.read(keys.chunk(chunk.index)))) for chunk in plan.chunks]


@pytest.mark.parametrize(
    ("part", "sent", "outputs"),
    [
        ({"from": "f3", "to": "f6"}, [[3, 4, 5], [5, 6]], 12),
        ({"from": "f3", "to": "11/50"}, [[3, 4, 5]], 8),
        ({"from": "7/50"}, [[3, 4, 5], [5, 6, 7], [7, 8]], 24),
        ({"to": "f2"}, [[0, 1, 2]], 8),
    ],
    ids=str,
)
def test_of_a_part_only_the_frames_travel_that_are_needed(
    folder: Storage, part: dict[str, Any], sent: list[list[int]], outputs: int
) -> None:
    plan, chunks = cut_as_it_is(folder, **part)

    assert [grey_numbers(frame for _, frame in chunk.frames()) for chunk in chunks] == sent
    assert plan.timeline.output_count == outputs


def test_only_what_is_slowed_travels(folder: Storage) -> None:
    _, chunks = cut_as_it_is(folder, speed="f3-f5:1/4")

    assert [grey_numbers(frame for _, frame in chunk.frames()) for chunk in chunks] == [[3, 4, 5]]


def test_duplicates_do_not_travel(folder: Storage) -> None:
    video_id = drop(folder)
    serve(folder)
    looked(folder, video_id, duplicates="replace")
    write_record(folder, VideoKeys(video_id).info, changed(info_of(9), duplicates=(1, 4, 5)))
    done, keys = cut(folder, video_id, progress=quiet), keys_of(folder, video_id)
    chunks = [ChunkReader(io.BytesIO(folder.read(keys.chunk(chunk.index)))) for chunk in done.active.plan.chunks]

    assert [grey_numbers(frame for _, frame in chunk.frames()) for chunk in chunks] == [[0, 2, 3], [3, 6, 7], [7, 8]]
    assert [want.t for want in chunks[0].wants] == [
        *(Fraction(n, 8) for n in range(1, 8)),
        *(Fraction(n, 4) for n in (1, 2, 3)),
    ]
