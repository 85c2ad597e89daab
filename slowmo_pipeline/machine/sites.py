"""Where browsers find the two web servers of `slowmo up`: two origins, since all pages of an origin have its rights."""

from collections.abc import Sequence
from dataclasses import dataclass

from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.machine.guard import parse_host

_LAST_PORT = 65535


@dataclass(frozen=True)
class Site:
    """Where browsers find a web server of this machine."""

    port: int
    allowed_hosts: Sequence[str] = ()
    """What they may ask for besides this machine, as `parse_host` gives it."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """The same for the process that serves it."""
        return ("--port", str(self.port), *(f"--allow-host={host}" for host in self.allowed_hosts))


def ui_and_gallery(
    port: int, gallery_port: int | None, *, hosts: Sequence[str], gallery_hosts: Sequence[str]
) -> tuple[Site, Site]:
    """The site of Dagster's UI and that of the gallery, by default at the port after it.

    Raises SettingsError for what is no host, and when they are not two.
    """
    if gallery_port is None:
        gallery_port = port + 1 if port < _LAST_PORT else port - 1
    ui = Site(port, [parse_host(host) for host in hosts])
    gallery = Site(gallery_port, [parse_host(host) for host in gallery_hosts])
    if ui.port == gallery.port:
        raise SettingsError(f"--port and --gallery-port are both {port}: give the gallery another one.")
    if both := sorted({*ui.allowed_hosts} & {*gallery.allowed_hosts}):
        raise SettingsError(
            f"{both[0]} is let in by --allow-host and by --allow-gallery-host: give the gallery a host of its own, or "
            "a page in it could drive Dagster's UI."
        )
    return ui, gallery
