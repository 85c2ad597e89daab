"""Tags, chapters, subtitles and time codes: from files that hold them to results at other times."""

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import pytest

from slowmo_pipeline.video.info import Chapter, VideoInfo
from slowmo_pipeline.video.labelling import Times, label, left_out
from slowmo_pipeline.video.reader import Limits, probe
from slowmo_pipeline.video.subtitles import retimed
from slowmo_pipeline_tests.support.media import clicks, grey_frames, read_sound, run_ffmpeg, write_clip
from slowmo_pipeline_tests.support.stored import changed

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)
RATE = Fraction(25)
SECONDS = 2
SLOWDOWN = Fraction(5, 2)
TIMES = Times(at=lambda seconds: seconds * SLOWDOWN, duration=SECONDS * SLOWDOWN, frame_rate=RATE, source_rate=RATE)

TAGS = {"title": "Südwand", "artist": "A & B", "comment": "two\nlines", "location": "+46.5000+007.9000/"}
CHAPTERS = [(0, 500, "Up"), (500, 2000, "Down")]
SUBTITLES = "1\n00:00:00,200 --> 00:00:00,900\n<i>Hello</i>\nthere\n\n2\n00:00:01,000 --> 00:00:09,000\nBye\n\n"

# What ffmpeg's own format for metadata, its filters and command lines give a meaning to.
HOSTILE = "a=b;c#d\\e\\\n[CHAPTER]\nSTART=0\n;f\n#g ' \" : , [x] -metadata title=z %s $(id)"


def ffmetadata(tags: Mapping[str, str], chapters: list[tuple[int, int, str]] = []) -> str:  # noqa: B006  # read only
    def escaped(text: str) -> str:
        return "".join(f"\\{character}" if character in "=;#\\\n" else character for character in text)

    lines = [";FFMETADATA1", *(f"{name}={escaped(value)}" for name, value in tags.items())]
    for start, end, title in chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start}", f"END={end}", f"title={escaped(title)}"]
    return "\n".join([*lines, ""])


def labelled(
    path: Path,
    tags: Mapping[str, str] = TAGS,
    *,
    chapters: list[tuple[int, int, str]] = CHAPTERS,
    subtitles: str = SUBTITLES,
    options: tuple[str, ...] = (),
) -> Path:
    """A clip with all that, in the container that the suffix names."""
    folder = path.parent
    clip = write_clip(
        folder / f"plain{path.suffix}",
        grey_frames(SECONDS * 25),
        rate=RATE,
        sound=clicks(SECONDS, at=[0.5, 1.5]),
    )
    (folder / "tags.txt").write_text(ffmetadata(tags, chapters), encoding="utf-8")
    (folder / "said.srt").write_text(subtitles)
    kind = {".mkv": "ass", ".webm": "webvtt"}.get(path.suffix, "mov_text")
    run_ffmpeg(
        *("-i", str(clip), "-f", "ffmetadata", "-i", str(folder / "tags.txt"), "-i", str(folder / "said.srt")),
        *("-map", "0", "-map", "2", "-map_metadata", "1", "-c", "copy", "-c:s", kind),
        *("-metadata:s:s:0", "language=nor", *options, str(path)),
    )
    return path


def made_of(source: Path, suffix: str = ".mp4", *, times: Times = TIMES) -> tuple[VideoInfo, Path, list[str]]:
    """A result of the right length, labelled as the source is."""
    info = probe(source, limits=LIMITS)
    result = write_clip(
        source.with_name(f"result{suffix}"),
        grey_frames(int(times.duration * 25)),
        rate=RATE,
        sound=clicks(float(times.duration), at=[1.25, 2.5]),
        options={"bf": "2"},
    )
    codec = {".mp4": "h264", ".mov": "prores", ".mkv": "ffv1"}[suffix]
    target = source.with_name(f"labelled{suffix}")
    path, lost = label(target, result, source=source, info=info, codec=codec, times=times)
    return info, path, [*lost, *left_out(info, codec, times)]


def chapters_of(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        found = [(each, float(each["time_base"] or 0)) for each in container.chapters()]
    return [
        (round(each["start"] * tick, 6), round(each["end"] * tick, 6), each["metadata"]["title"])
        for each, tick in found
    ]


def subtitles_of(path: Path) -> str:
    return run_ffmpeg("-i", str(path), "-map", "s:0", "-c:s", "srt", "-f", "srt", "-").decode().replace("\r", "")


@pytest.mark.parametrize("source", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tags_chapters_and_subtitles_are_carried_at_their_new_times(tmp_path: Path, source: str, suffix: str) -> None:
    info, made, told = made_of(labelled(tmp_path / f"clip{source}"), suffix)
    assert dict(probe(made, limits=LIMITS).tags) == dict(info.tags) == TAGS
    assert chapters_of(made) == [(0, 1.25, "Up"), (1.25, 5, "Down")]
    first, second = subtitles_of(made).strip().split("\n\n")
    assert first == "1\n00:00:00,500 --> 00:00:02,250\n<i>Hello</i>\nthere"
    assert second == "2\n00:00:02,500 --> 00:00:05,000\nBye"
    with av.open(str(made)) as container:
        assert container.streams.subtitles[0].language == "nor"
    assert told == []


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (".mp4", [(0, 1.25, ""), (1.25, 2, "B"), (2, 2.5, ""), (2.5, 3.75, "C"), (3.75, 4.5, "D")]),
        (".mkv", [(1.25, 2, "B"), (2.5, 4.25, "C"), (3.75, 4.5, "D")]),
    ],
)
def test_chapters_with_gaps_and_overlaps_begin_when_they_do(
    tmp_path: Path, suffix: str, expected: list[tuple[float, float, str]]
) -> None:
    chapters = [(500, 800, "B"), (1000, 1700, "C"), (1500, 1800, "D")]
    _, made, _ = made_of(labelled(tmp_path / "clip.mkv", chapters=chapters), suffix)
    assert chapters_of(made) == expected


def test_moments_follow_any_course_of_time(tmp_path: Path) -> None:
    held = changed_course(at=lambda seconds: 2 * seconds if seconds < 1 else seconds + 1, duration=Fraction(3))
    _, made, _ = made_of(labelled(tmp_path / "clip.mp4"), times=held)
    assert chapters_of(made) == [(0, 1, "Up"), (1, 3, "Down")]
    assert "00:00:02,000 --> 00:00:03,000\nBye" in subtitles_of(made)


def changed_course(**fields: object) -> Times:
    return Times(**{**vars(TIMES), **fields})


def test_moments_are_counted_from_the_first_frame(tmp_path: Path) -> None:
    late = labelled(tmp_path / "clip.mkv")
    run_ffmpeg("-itsoffset", "3", "-i", str(late), "-map", "0", "-c", "copy", "-copyts", str(tmp_path / "late.mkv"))
    info, made, _ = made_of(tmp_path / "late.mkv")
    assert info.first_frame_time == 3
    assert "1\n00:00:00,500 --> 00:00:02,250\n" in subtitles_of(made)
    assert chapters_of(made)[1][:2] == (1.25, 5)


def test_pictures_and_sound_stay_as_they_are(tmp_path: Path) -> None:
    _, made, _ = made_of(labelled(tmp_path / "clip.mp4"))
    before = tmp_path / "result.mp4"
    assert (read_sound(made) == read_sound(before)).all()
    assert probe(made, limits=LIMITS).ticks == probe(before, limits=LIMITS).ticks
    assert packets(made) == packets(before)


def packets(path: Path) -> list[tuple[int | None, int | None, str]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts, packet.dts, hashlib.md5(bytes(packet)).hexdigest())
            for packet in container.demux(video=0, audio=0)
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_same_source_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    once = made_of(labelled(tmp_path / "clip.mp4"), suffix)[1].read_bytes()
    assert made_of(tmp_path / "clip.mp4", suffix)[1].read_bytes() == once


def test_a_source_that_tells_nothing_is_not_written_again(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(50), rate=RATE)
    info, made, told = made_of(clip)
    assert (info.tags, info.chapters, info.subtitles, info.time_code, info.notes) == ((), (), (), None, ())
    assert made.name == "result.mp4"
    assert told == []


def test_what_means_something_to_ffmpeg_means_nothing_in_a_tag(tmp_path: Path) -> None:
    hostile = labelled(tmp_path / "clip.mkv", {"title": HOSTILE, "comment": ";=#"}, chapters=[(0, 900, HOSTILE)])
    info, made, _ = made_of(hostile)
    found = probe(made, limits=LIMITS)
    assert dict(found.tags) == dict(info.tags) == {"title": HOSTILE, "comment": ";=#"}
    assert [title for *_, title in chapters_of(made)] == [HOSTILE]


@pytest.mark.parametrize("value", ["x" * 5000, "bell\a", "esc\x1b[31m", "next\x85line"])
def test_what_is_not_plain_is_left_out_and_told(tmp_path: Path, value: str) -> None:
    info = probe(labelled(tmp_path / "clip.mkv", {"title": "ok", "artist": value}), limits=LIMITS)
    assert info.tags == (("title", "ok"),)
    [note] = [note for note in info.notes if "tags" in note]
    assert note == "Left out of the result: tags that are too long or hold control characters (1)."


def test_titles_of_chapters_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    clip = labelled(tmp_path / "clip.mkv", chapters=[(0, 900, "abcdefgh")])
    clip.write_bytes(clip.read_bytes().replace(b"abcdefgh", b"ab\xff\xfe\x01\x02gh"))
    assert probe(clip, limits=LIMITS).chapters == (Chapter(start=0, end=900_000, title=""),)


def test_there_is_an_end_to_tags_and_chapters(tmp_path: Path) -> None:
    tags = {f"name{number}": "value" for number in range(300)}
    chapters = [(number, number + 1, "") for number in range(1100)]
    info = probe(labelled(tmp_path / "clip.mkv", tags, chapters=chapters), limits=LIMITS)
    assert (len(info.tags), len(info.chapters)) == (100, 1000)
    assert "Left out of the result: tags beyond the first 100 (200)." in info.notes


def test_tags_without_a_place_in_the_container_are_told(tmp_path: Path) -> None:
    tags = {"title": "x", "com.apple.quicktime.make": "Maker", "lens": "50 mm"}
    info, made, told = made_of(labelled(tmp_path / "clip.mkv", tags))
    assert dict(info.tags) == {"title": "x", "make": "Maker", "lens": "50 mm"}
    assert dict(probe(made, limits=LIMITS).tags) == {"title": "x"}
    assert told == ["Left out of the result, whose container has no place for them: the tags lens, make."]


def test_no_tag_of_the_source_invents_a_maker_or_a_date(tmp_path: Path) -> None:
    tags = {"encoder": "Camera 1", "creation_time": "2020-01-02T03:04:05Z", "title": "x"}
    _, made, _ = made_of(labelled(tmp_path / "clip.mkv", tags, subtitles=SUBTITLES))
    with av.open(str(made)) as container:
        assert {*container.metadata} - {"major_brand", "minor_version", "compatible_brands"} == {
            *("title", "creation_time")
        }


def timed(path: Path, time_code: str, *, rate: Fraction = RATE) -> Path:
    clip = write_clip(path.with_name(f"plain{path.suffix}"), grey_frames(50), rate=rate)
    run_ffmpeg("-i", str(clip), "-c", "copy", "-timecode", time_code, str(path))
    return path


@pytest.mark.parametrize("source", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_the_time_code_of_the_first_frame_is_carried(tmp_path: Path, source: str, suffix: str) -> None:
    info, made, told = made_of(timed(tmp_path / f"clip{source}", "10:59:58:24"), suffix)
    assert info.time_code == probe(made, limits=LIMITS).time_code == "10:59:58:24"
    assert any("begins with the source's, 10:59:58:24" in sentence for sentence in told)
    assert info.notes == ()


def test_a_time_code_that_drops_frames_does_so_at_its_rate_only(tmp_path: Path) -> None:
    ntsc = Fraction(30000, 1001)
    source = timed(tmp_path / "clip.mov", "00:10:00;02", rate=ntsc)
    info, made, _ = made_of(source, ".mov", times=changed_course(frame_rate=ntsc, source_rate=ntsc))
    assert info.time_code == "00:10:00;02"
    _, made, told = made_of(source, ".mp4", times=changed_course(frame_rate=Fraction(30), source_rate=Fraction(30)))
    assert made.name == "result.mp4"
    assert any("00:10:00;02 is left out" in sentence for sentence in told)


def test_a_time_code_of_another_rate_is_told_as_left_out(tmp_path: Path) -> None:
    other = changed_course(frame_rate=Fraction(50))
    _, made, told = made_of(timed(tmp_path / "clip.mov", "01:00:00:00"), times=other)
    assert probe(made, limits=LIMITS).time_code is None
    assert told == ["The time code 01:00:00:00 is left out: it counts frames of another rate than the result's."]


def test_a_time_code_that_is_none_is_told(tmp_path: Path) -> None:
    info = probe(labelled(tmp_path / "clip.mkv", {"timecode": "99:00:00:00\n-i"}), limits=LIMITS)
    assert info.time_code is None
    assert "Left out of the result: time codes that make no sense (1)." in info.notes


def test_streams_of_other_kinds_are_told(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").write_bytes(b"font")
    attached = ("-attach", str(tmp_path / "font.ttf"), "-metadata:s:t:0", "mimetype=font/ttf")
    clip = labelled(tmp_path / "clip.mkv", options=attached)
    clip.write_bytes(clip.read_bytes().replace(b"S_TEXT/ASS", b"S_HDMV/PGS"))
    info = probe(clip, limits=LIMITS)
    assert info.subtitles == ()
    assert "Left out of the result: subtitle streams that are pictures (1)." in info.notes
    assert "Left out of the result: attached files (1)." in info.notes


def test_a_track_of_data_is_told(tmp_path: Path) -> None:
    """But for that of the chapters, which are carried."""
    clip = labelled(tmp_path / "clip.mp4")
    assert probe(clip, limits=LIMITS).notes == ()
    clip.write_bytes(clip.read_bytes().replace(b"tx3g", b"gpmd"))
    info = probe(clip, limits=LIMITS)
    assert "Left out of the result: data streams (1)." in info.notes
    assert len(info.chapters) == 2


def test_subtitles_that_cannot_be_read_are_told_and_cost_nothing_else(tmp_path: Path) -> None:
    source = labelled(tmp_path / "clip.mp4")
    info = probe(source, limits=LIMITS)
    [track] = info.subtitles
    broken = changed(info, subtitles=(changed(track, stream=77),))
    result = write_clip(tmp_path / "result.mp4", grey_frames(125), rate=RATE)
    made, [told] = label(tmp_path / "a.mp4", result, source=source, info=broken, codec="h264", times=TIMES)
    assert told.startswith("The subtitles of stream 77 are lost: Reading the subtitles of clip.mp4")
    assert dict(probe(made, limits=LIMITS).tags) == TAGS


def test_subtitles_are_never_shown_before_the_start_or_after_the_end() -> None:
    said = "".join(
        f"{number}\n00:00:0{start},000 --> 00:00:0{end},000\n{number}\n\n"
        for number, start, end in ((1, 0, 1), (2, 1, 4), (3, 4, 8), (4, 8, 9))
    )
    shown = retimed(said, lambda seconds: seconds - 2, duration=Fraction(4))
    assert shown == "1\n00:00:00,000 --> 00:00:02,000\n2\n\n2\n00:00:02,000 --> 00:00:04,000\n3\n\n"
