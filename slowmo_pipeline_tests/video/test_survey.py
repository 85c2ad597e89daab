"""What packets alone tell of a clip, held against decoding it."""

from fractions import Fraction
from pathlib import Path

import pytest

from slowmo_pipeline.video.info import VideoInfo
from slowmo_pipeline.video.part import WHOLE, Asked
from slowmo_pipeline.video.probing import probe_apart
from slowmo_pipeline.video.reader import Limits
from slowmo_pipeline_tests.support.kinds import NOT_SOUGHT, SOUGHT, Kind, noisy
from slowmo_pipeline_tests.support.media import grey_frames, write_clip

LIMITS = Limits(max_bytes=10**9, max_pixels=10**6, max_frames=1000, max_seconds=100)


def looked(path: Path, part: Asked, *, decode: bool) -> VideoInfo:
    return probe_apart(path, limits=LIMITS, part=part, decode=decode)


@pytest.mark.parametrize("kind", [*SOUGHT[:4], SOUGHT[8], SOUGHT[10], *NOT_SOUGHT], ids=str)
@pytest.mark.parametrize("part", [WHOLE, Asked(Fraction(1, 2), 30)], ids=["whole", "part"])
def test_packets_tell_the_same_frames_as_decoding(tmp_path: Path, kind: Kind, part: Asked) -> None:
    clip = write_clip(
        tmp_path / f"c{kind.suffix}", noisy(), codec=kind.codec, options=kind.options, pixel_format=kind.pixel_format
    )
    told, decoded = (looked(clip, part, decode=decode) for decode in (False, True))

    assert (told.ticks, told.time_base, told.declared_rate) == (decoded.ticks, decoded.time_base, decoded.declared_rate)
    assert (told.width, told.height, told.depth) == (decoded.width, decoded.height, decoded.depth)
    assert (told.part and told.part.first_frame) == (decoded.part and decoded.part.first_frame)


def test_cuts_are_scored_and_repeats_found_where_they_are_asked_for(tmp_path: Path) -> None:
    shots = [*noisy(8), *reversed([255 - frame for frame in noisy(8)])]
    clip = write_clip(tmp_path / "cut.mkv", shots, codec="ffv1", pixel_format="bgr0")
    info = probe_apart(clip, limits=LIMITS, cuts=True)

    assert len(info.cut_scores) == 15
    assert all(0 <= score <= 100 for score in info.cut_scores)
    assert probe_apart(clip, limits=LIMITS).cut_scores == ()
    doubled = write_clip(tmp_path / "twos.mkv", [frame for frame in noisy(12) for _ in "ab"], codec="ffv1")
    assert probe_apart(doubled, limits=LIMITS).duplicates == ()


def test_a_still_clip_has_no_repeats(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "still.mp4", grey_frames(9))

    assert probe_apart(clip, limits=LIMITS, duplicates=True).duplicates == ()
