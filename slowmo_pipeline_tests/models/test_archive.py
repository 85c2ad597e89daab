import gzip
import io
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowmo_pipeline.errors import ModelError
from slowmo_pipeline.models import archive as packed
from slowmo_pipeline.models.download import download, without_secrets
from slowmo_pipeline.models.saved_model import copy_saved_model, saved_model_sha256
from slowmo_pipeline_tests.support.model_sources import (
    BESIDE,
    MODEL,
    ModelServer,
    folder_of,
    model_server,
    tar_of,
    under,
    zip_of,
)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


def unseen(stage: str, done: int, total: int, unit: str) -> None:
    """Progress that nobody looks at."""


def copied(source: Path, target: Path, member: str | None = None) -> dict[str, bytes]:
    copy_saved_model(source, target, origin="the source", member=member, progress=unseen)
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def refusal(data: bytes, tmp_path: Path) -> str:
    """The message that an archive is refused with."""
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(ModelError) as refused:
        copied(tmp_path / "archive", tmp_path / "copy")
    return str(refused.value)


@pytest.mark.parametrize("prefix", ["", "./", "film/1/"])
@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_an_archive_gives_the_saved_model_and_nothing_else(
    pack: Callable[[dict[str, bytes]], bytes], prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "archive").write_bytes(pack(under(prefix, {**BESIDE, **MODEL}) | {"LICENSE": b"free"}))
    assert copied(tmp_path / "archive", tmp_path / "copy") == MODEL


def test_a_folder_gives_the_saved_model_and_nothing_else(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "folder", under("film/", {**BESIDE, **MODEL}))
    assert copied(folder, tmp_path / "copy") == MODEL


def test_links_in_a_folder_are_followed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "folder", MODEL)
    (folder / "variables").rename(tmp_path / "blobs")
    (folder / "variables").symlink_to(tmp_path / "blobs")
    assert copied(folder, tmp_path / "copy") == MODEL
    assert saved_model_sha256(folder) == saved_model_sha256(tmp_path / "copy")


def test_programs_of_the_system_write_what_is_read(tmp_path: Path) -> None:
    folder_of(tmp_path / "film", MODEL)
    subprocess.run(["tar", "-czf", "film.tar.gz", "film"], cwd=tmp_path, check=True)
    assert copied(tmp_path / "film.tar.gz", tmp_path / "copy") == MODEL


def test_the_progress_ends_at_the_bytes_copied(tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    copy_saved_model(
        folder_of(tmp_path / "folder", {**BESIDE, **MODEL}),
        tmp_path / "copy",
        origin="it",
        member=None,
        progress=lambda *now: told.append(now),
    )
    size = sum(map(len, MODEL.values()))
    assert told[-1] == ("copy", size, size, "bytes")
    assert len(told) > len(MODEL)  # a large file in pieces


def test_several_saved_models_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    styles = {"film_net/Style/saved_model/": b"a", "film_net/L1/saved_model/": b"b"}
    files = {name: data for prefix, graph in styles.items() for name, data in under(prefix, MODEL).items()}
    files["film_net/L1/saved_model/saved_model.pb"] = b"another graph"
    told = refusal(zip_of(files), tmp_path)
    assert "film_net/L1/saved_model, film_net/Style/saved_model" in told
    assert "--member" in told
    chosen = copied(tmp_path / "archive", tmp_path / "copy", member="film_net/L1/saved_model")
    assert chosen == {**MODEL, "saved_model.pb": b"another graph"}
    with pytest.raises(ModelError, match=r"no SavedModel in film_net/VGG. It has: film_net/L1"):
        copied(tmp_path / "archive", tmp_path / "other", member="film_net/VGG")


def test_no_saved_model_is_told(tmp_path: Path) -> None:
    assert "no saved_model.pb" in refusal(zip_of(BESIDE), tmp_path)


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the source does not exist"):
        copied(tmp_path / "nowhere", tmp_path / "copy")


def test_a_web_page_is_told(tmp_path: Path) -> None:
    assert "neither a .zip nor a .tar.gz" in refusal(b"<!DOCTYPE html>", tmp_path)


def member(name: str, kind: bytes = tarfile.REGTYPE, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in values.items():
        setattr(info, field, value)
    return info


def zip_link() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in MODEL.items():
            archive.writestr(name, content)
        link = zipfile.ZipInfo("variables/extra")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return data.getvalue()


def encrypted_zip() -> bytes:
    data = bytearray(zip_of(MODEL))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(signature, at + 1)
    return bytes(data)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "tar with a parent": (lambda: tar_of(MODEL, member("variables/../../out")), "leads outside"),
    "tar with an absolute path": (lambda: tar_of(MODEL, member("/tmp/out")), "leads outside"),
    "tar with a soft link": (
        lambda: tar_of(MODEL, member("variables/l", tarfile.SYMTYPE, linkname="/")),
        "a link or a device",
    ),
    "tar with a hard link": (
        lambda: tar_of(MODEL, member("variables/l", tarfile.LNKTYPE, linkname="saved_model.pb")),
        "a link or a device",
    ),
    "tar with a device": (lambda: tar_of(MODEL, member("variables/d", tarfile.CHRTYPE)), "a link or a device"),
    "tar with a pipe": (lambda: tar_of(MODEL, member("variables/p", tarfile.FIFOTYPE)), "a link or a device"),
    "tar with a file twice": (lambda: tar_of(MODEL, member("saved_model.pb")), "saved_model.pb twice"),
    "tar that declares 3 GB": (
        lambda: gzip.compress(member("variables/x", size=3 * 10**9).tobuf(tarfile.GNU_FORMAT)),
        "more than",
    ),
    "tar with names upon names": (
        lambda: gzip.compress(1000 * member("x", tarfile.GNUTYPE_LONGNAME, size=0).tobuf(tarfile.GNU_FORMAT)),
        "is damaged",
    ),
    "zip with a parent": (lambda: zip_of({**MODEL, "variables/../../out": b""}), "leads outside"),
    "zip with an absolute path": (lambda: zip_of({**MODEL, "/tmp/out": b""}), "leads outside"),
    "zip with a link": (zip_link, "a link or a device"),
    "zip with a password": (encrypted_zip, "password"),
    "zip with a file without a name": (lambda: zip_of({**MODEL, "qqq": b""}).replace(b"qqq", b"\0qq"), "is damaged"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused(kind: str, tmp_path: Path) -> None:
    pack, told = HOSTILE[kind]
    assert told in refusal(pack(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"archive", "copy"}


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_BYTES", 2 * 10**6)
    bomb = gzip.compress(gzip.decompress(tar_of(MODEL)) + bytes(10**7))
    assert "unpacks to more than 2000000 bytes" in refusal(bomb, tmp_path)
    assert "or 2000000 bytes" in refusal(zip_of({**MODEL, "assets/zeros": bytes(10**6)}), tmp_path)


def test_more_files_than_a_model_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_FILES", len(MODEL))
    (tmp_path / "archive").write_bytes(zip_of(MODEL))
    assert copied(tmp_path / "archive", tmp_path / "copy") == MODEL
    assert f"more than {len(MODEL)} files" in refusal(zip_of({**MODEL, **BESIDE}), tmp_path)


SMALL = {"saved_model.pb": b"graph", "variables/variables.index": b"index" * 40}


@pytest.mark.parametrize("data", [zip_of(SMALL), tar_of(SMALL)], ids=["zip", "tar.gz"])
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_no_changed_byte_changes_a_file(
    data: bytes, place: float, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    at = int(place * len(data))
    (folder / "archive").write_bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
    try:
        found = copied(folder / "archive", folder / "copy")
    except ModelError:
        return
    # It was a date, say. A zip's directory has no checksum: a file can be lost from sight, but none differs.
    assert found.items() <= SMALL.items()
    assert found == SMALL or data.startswith(b"PK")


def test_a_directory_that_is_said_to_lie_elsewhere_is_damage(tmp_path: Path) -> None:
    """Where the directory lies, the end of the file says: 16 bytes into its last 22."""
    data = bytearray(zip_of(SMALL))
    data[-22 + 17] ^= 1

    assert "is damaged" in refusal(bytes(data), tmp_path)


@pytest.mark.parametrize("data", [zip_of(SMALL), tar_of(SMALL)], ids=["zip", "tar.gz"])
def test_an_archive_cut_short_is_refused(data: bytes, tmp_path: Path) -> None:
    for kept in range(len(data)):
        refusal(data[:kept], tmp_path)


def test_the_hash_is_what_the_shell_command_of_its_docstring_prints(tmp_path: Path) -> None:
    [command] = [
        line.strip() for line in str(saved_model_sha256.__doc__).splitlines() if line.strip().startswith("find ")
    ]
    folder = folder_of(tmp_path, {**BESIDE, **MODEL})
    printed = subprocess.run(f"{command} | sha256sum", shell=True, cwd=folder, capture_output=True, check=True).stdout
    assert printed.split()[0].decode() == saved_model_sha256(folder)


@pytest.mark.parametrize("name", MODEL)
def test_the_hash_tells_every_change(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, MODEL)
    before = saved_model_sha256(folder)
    (folder / name).write_bytes(b"!")
    assert saved_model_sha256(folder) != before
    (folder / name).unlink()
    assert saved_model_sha256(folder) != before


def test_a_download_is_what_the_server_has(server: ModelServer, tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    body = bytes(10**6)
    download(server.reply("/film.zip", body), tmp_path / "file", lambda *now: told.append(now))
    assert (tmp_path / "file").read_bytes() == body
    assert told[-1] == ("download", len(body), len(body), "bytes")
    assert len(told) > 1


def test_redirects_are_followed(server: ModelServer, tmp_path: Path) -> None:
    server.reply("/there", b"model")
    download(server.reply("/here", b"", status=302, Location="/there"), tmp_path / "file", unseen)
    assert (tmp_path / "file").read_bytes() == b"model"


def test_a_tar_gz_stays_one_where_the_server_calls_it_a_coding(server: ModelServer, tmp_path: Path) -> None:
    data = tar_of(MODEL)
    download(server.reply("/film.tar.gz", data, Content_Encoding="gzip"), tmp_path / "file", unseen)
    assert (tmp_path / "file").read_bytes() == data


def test_the_proxy_of_the_environment_is_used(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    server.replies["http://models.invalid/film.zip"] = (200, {}, b"model")
    download("http://models.invalid/film.zip", tmp_path / "file", unseen)
    assert (tmp_path / "file").read_bytes() == b"model"


@pytest.mark.parametrize(
    ("body", "status", "headers", "told"),
    [
        (b"", 404, {}, r"/film.zip answered 404 Not Found\. Check the address"),
        (b"", 403, {}, r"answered 403 Forbidden"),
        (b"part", 200, {"Content_Length": "10"}, r"could not be downloaded: IncompleteRead\(4 bytes read, 6 more"),
        (b"zz", 200, {"Transfer_Encoding": "chunked"}, r"could not be downloaded"),
        (b"much", 200, {"Content_Length": str(3 * 10**9)}, r"more than 2147483648 bytes"),
        (b"", 302, {"Location": "/film.zip"}, r"could not be downloaded: Exceeded 30 redirects"),
    ],
)
def test_what_goes_wrong_with_a_download_is_told(
    body: bytes, status: int, headers: dict[str, str], told: str, server: ModelServer, tmp_path: Path
) -> None:
    url = server.reply("/film.zip", body, status=status, **headers)
    with pytest.raises(ModelError, match=told):
        download(url, tmp_path / "file", unseen)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1/film.zip", "Connection refused"),
        ("http://models.invalid/film.zip", "models.invalid"),
        ("http:///film.zip", "could not be downloaded"),
        ("http://[::1/film.zip", "could not be downloaded"),
        ("s3://bucket/film.zip", "is no http.s. address"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=told):
        download(url, tmp_path / "file", unseen)


def test_a_full_disk_is_no_fault_of_the_download(server: ModelServer) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        download(server.reply("/film.zip", bytes(10**6)), Path("/dev/full"), unseen)


def test_passwords_and_signatures_are_not_shown() -> None:
    assert without_secrets("https://me:secret@host:8443/film.zip?sig=secret#x") == "https://host:8443/film.zip"
