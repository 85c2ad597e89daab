"""Uploads that are no videos, or that try to make the reader open something else."""

import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from slowmo_pipeline.errors import EncodeError, UnreadableVideoError, VideoTooLargeError
from slowmo_pipeline.planning.warp import even_warp
from slowmo_pipeline.video.reader import Limits, probe, read_frames
from slowmo_pipeline.video.sound import add_sound
from slowmo_pipeline_tests.support.media import cut_off, grey_frames, moving_square, run_ffmpeg, tone, write_clip

LIMITS = Limits(max_bytes=10**9, max_pixels=4096 * 2304, max_frames=1000, max_seconds=100)

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n",
    "hls of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{address}'\n",
    "concat of a file": "ffconcat version 1.0\nfile secret.ts\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'profiles="urn:mpeg:dash:profile:full:2011"><Period><AdaptationSet mimeType="video/mp4">'
    '<Representation id="0"><BaseURL>{address}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.fixture
def server() -> Iterator[tuple[int, list[str]]]:
    """A server on loopback: its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd.server_port, asked
        httpd.shutdown()
        thread.join()


@pytest.fixture
def playlist(request: pytest.FixtureRequest, tmp_path: Path, server: tuple[int, list[str]]) -> Path:
    """A playlist named like a video, beside a video that only it names."""
    secret = write_clip(tmp_path / "secret.ts", grey_frames(12), sound=tone(0.5))
    address = f"http://127.0.0.1:{server[0]}/secret.ts"
    text = PLAYLISTS[request.param].format(address=address, secret=secret, port=server[0])
    (tmp_path / "clip.mp4").write_text(text)
    return tmp_path / "clip.mp4"


@pytest.mark.parametrize("playlist", PLAYLISTS, indirect=True)
def test_a_playlist_is_no_video_and_fetches_nothing(playlist: Path, server: tuple[int, list[str]]) -> None:
    with pytest.raises(UnreadableVideoError, match=r"clip\.mp4 is not a video that can be read"):
        probe(playlist, limits=LIMITS)
    assert server[1] == []


@pytest.mark.parametrize("playlist", PLAYLISTS, indirect=True)
def test_sound_is_not_taken_from_a_playlist_either(playlist: Path, server: tuple[int, list[str]]) -> None:
    video = write_clip(playlist.with_name("video.mp4"), grey_frames(4))
    with pytest.raises(EncodeError):
        add_sound(
            playlist.with_name("final.mp4"),
            video,
            source=playlist,
            info=probe(video, limits=LIMITS),
            codec="h264",
            warp=even_warp(Fraction(1), Fraction(0), Fraction(1, 6)).segments,
            duration=Fraction(1, 6),
            mode="stretch",
        )
    assert server[1] == []


def test_ffmpeg_itself_would_follow_these_playlists(tmp_path: Path, server: tuple[int, list[str]]) -> None:
    """What makes the tests above mean something: without the lists of what is allowed, the server is asked."""
    text = PLAYLISTS["hls"].format(address=f"http://127.0.0.1:{server[0]}/secret.ts")
    (tmp_path / "clip.m3u8").write_text(text)
    with pytest.raises(Exception, match="non-zero exit status"):
        run_ffmpeg("-protocol_whitelist", "file,http,tcp", "-i", str(tmp_path / "clip.m3u8"), "-f", "null", "-")
    assert server[1]


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(UnreadableVideoError, match=r"clip\.mp4 is empty"):
        probe(tmp_path / "clip.mp4", limits=LIMITS)


@pytest.mark.parametrize("content", [b"just some words\n" * 100, bytes(np.random.default_rng(0).bytes(10_000))])
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(UnreadableVideoError, match="not a video"):
        probe(tmp_path / "clip.mp4", limits=LIMITS)


def test_a_still_image(tmp_path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48", "-frames:v", "1", str(tmp_path / "clip.png"))
    with pytest.raises(UnreadableVideoError, match="not a video"):
        probe(tmp_path / "clip.png", limits=LIMITS)


def test_sound_without_pictures(tmp_path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", str(tmp_path / "clip.mp4"))
    with pytest.raises(UnreadableVideoError, match="no video stream"):
        probe(tmp_path / "clip.mp4", limits=LIMITS)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    cover, clip = str(tmp_path / "cover.png"), tmp_path / "clip.m4a"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48", "-frames:v", "1", cover)
    maps = ["-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"]
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", "-i", cover, *maps, str(clip))
    with pytest.raises(UnreadableVideoError, match="no video stream"):
        probe(clip, limits=LIMITS)


def test_an_mp4_that_was_not_finished(tmp_path: Path) -> None:
    clip = cut_off(write_clip(tmp_path / "clip.mp4", moving_square(40)), keep=0.3)
    with pytest.raises(UnreadableVideoError, match="cut off"):
        probe(clip, limits=LIMITS)


def test_a_video_none_of_whose_frames_decodes(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(12))
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : start + 2000] = bytes(2000)
    clip.write_bytes(data)
    with pytest.raises(UnreadableVideoError):
        probe(clip, limits=LIMITS)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_a_header_that_breaks_off_is_damage_and_no_fault_of_the_disk(tmp_path: Path, suffix: str) -> None:
    """Demuxers say "Input/output error" of it, as if the disk had."""
    data = write_clip(tmp_path / f"clip{suffix}", grey_frames(3)).read_bytes()
    for length in range(50, 500, 30):
        (tmp_path / "cut").write_bytes(data[:length])
        with pytest.raises(UnreadableVideoError):
            probe(tmp_path / "cut", limits=LIMITS)


def test_a_stream_of_no_known_kind_is_damage_and_no_lack_of_permission(tmp_path: Path) -> None:
    """The demuxer of ASF says "Operation not permitted" of it."""
    clip = tmp_path / "clip.asf"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48", "-frames:v", "9", "-c:v", "wmv2", str(clip))
    video = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
    clip.write_bytes(clip.read_bytes().replace(video, video[:8] + b"odd" + video[11:]))
    with pytest.raises(UnreadableVideoError):
        probe(clip, limits=LIMITS)


FUZZED = {
    "asf": ("-c:v", "wmv2"),
    "avi": ("-c:v", "mpeg4"),
    "flv": ("-c:v", "flv"),
    "mkv": ("-c:v", "libx264"),
    "mov": ("-c:v", "mjpeg"),
    "ogg": ("-c:v", "libtheora"),
    "ts": ("-c:v", "libx264"),
    "webm": ("-c:v", "libvpx"),
}


@pytest.mark.parametrize("suffix", FUZZED)
def test_damage_at_random_is_told_or_survived(tmp_path: Path, suffix: str) -> None:
    clip, odd = tmp_path / f"clip.{suffix}", tmp_path / f"odd.{suffix}"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x32", "-frames:v", "5", *FUZZED[suffix], str(clip))
    chance, data = random.Random(suffix), clip.read_bytes()
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 3, 30))):
            damaged[int(len(data) * chance.random() ** 3)] = chance.randrange(256)  # the header above all
        odd.write_bytes(damaged)
        with suppress(UnreadableVideoError, VideoTooLargeError):
            info = probe(odd, limits=LIMITS)
            assert sum(1 for _ in read_frames(odd, info)) == info.frame_count


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "clip.mp4", limits=LIMITS)


@pytest.mark.parametrize("name", ["concat:a|b.mp4", "100%d.mp4", "-y.mp4", "ä ö.mp4", "http:x.mp4"])
def test_odd_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_clip(tmp_path / "plain.mp4", grey_frames(3)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name), limits=LIMITS).frame_count == 3
