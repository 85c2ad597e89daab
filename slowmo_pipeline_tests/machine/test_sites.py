"""Dagster's UI and the gallery are two origins, however they are asked for."""

import pytest

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.machine.sites import Site, ui_and_gallery


@pytest.mark.parametrize(
    ("port", "gallery_port", "expected"), [(3000, None, 3001), (65535, None, 65534), (3000, 8000, 8000)]
)
def test_the_gallery_is_at_the_next_port_unless_told(port: int, gallery_port: int | None, expected: int) -> None:
    ui, gallery = ui_and_gallery(port, gallery_port, hosts=(), gallery_hosts=())
    assert (ui.port, gallery.port) == (port, expected)


def test_one_port_for_both_is_refused() -> None:
    with pytest.raises(SettingsError, match="are both 3000"):
        ui_and_gallery(3000, 3000, hosts=(), gallery_hosts=())


@pytest.mark.parametrize("host", ["ui.example", "UI.example", " ui.example"])
def test_one_host_for_both_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="give the gallery a host of its own"):
        ui_and_gallery(3000, 3001, hosts=["ui.example"], gallery_hosts=["other.example", host])


def test_the_server_gets_what_the_site_says() -> None:
    assert Site(3001, ["a.example", "b:1"]).options == ("--port", "3001", "--allow-host=a.example", "--allow-host=b:1")
