import logging

import pytest

from slowmo_pipeline.progress import LogProgress, amount


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows: a list of one number."""
    now = [1000.0]
    monkeypatch.setattr("slowmo_pipeline.progress.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def report(caplog: pytest.LogCaptureFixture) -> LogProgress:
    caplog.set_level(logging.INFO)
    return LogProgress(logging.getLogger("test"))


def test_a_line_every_ten_seconds(clock: list[float], report: LogProgress, caplog: pytest.LogCaptureFixture) -> None:
    for frame in range(45):
        report("encode", frame, 90, "frames")
        clock[0] += 1

    assert caplog.messages == [
        "encode: 10 of 90 frames, 1 min 20 s left",
        "encode: 20 of 90 frames, 1 min 10 s left",
        "encode: 30 of 90 frames, 1 min 00 s left",
        "encode: 40 of 90 frames, 50 s left",
    ]


def test_what_was_there_before_does_not_count_as_fast(
    clock: list[float], report: LogProgress, caplog: pytest.LogCaptureFixture
) -> None:
    report("interpolate", 80, 100, "chunks")
    clock[0] += 10
    report("interpolate", 90, 100, "chunks")

    assert caplog.messages == ["interpolate: 90 of 100 chunks, 10 s left"]


def test_a_new_stage_begins_anew(clock: list[float], report: LogProgress, caplog: pytest.LogCaptureFixture) -> None:
    report("read", 5, 10, "bytes")
    clock[0] += 9
    report("probe", 0, 0, "frames")
    clock[0] += 10
    report("probe", 7, 0, "frames")

    assert caplog.messages == ["probe: 7 frames"]


def test_many_short_stages_fill_no_screen(
    clock: list[float], report: LogProgress, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(45):
        report(f"stage {second // 3}", second % 3, 3, "frames")
        clock[0] += 1

    assert len(caplog.messages) == 4


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (4, 10, "chunks", "4 of 10 chunks"),
        (4, 0, "frames", "4 frames"),
        (28_000, 2_000_000, "bytes", "28.0 kB of 2.0 MB"),
        (28_000, 0, "bytes", "28.0 kB"),
    ],
)
def test_an_amount_in_words(done: int, total: int, unit: str, text: str) -> None:
    assert amount(done, total, unit) == text
