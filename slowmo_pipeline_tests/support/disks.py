"""Disks of the tests' own, and other users: what the kernel really says when there is no room, or no permission."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NOBODY = 65534

# Of linux/capability.h and linux/prctl.h.
_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_PR_CAPBSET_DROP = 24


@contextmanager
def small_disk(*, megabytes: int) -> Iterator[Path]:
    """A mounted disk with so much room."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a disk")
    with tempfile.TemporaryDirectory(prefix="slowmo-disk-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a small disk; the file that takes it."""
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free))
    return filler


@contextmanager
def as_nobody() -> Iterator[None]:
    """Have this thread look at files as a user without rights; where the tests are not run by root, as that user."""
    libc = ctypes.CDLL(None)
    if os.getuid() == 0:
        libc.setfsuid(_NOBODY)  # the kernel takes root's way round permissions with it, and gives it back
    try:
        yield
    finally:
        libc.setfsuid(os.getuid())


def give_up_ways_round_permissions() -> None:
    """Have this process, and what it starts, refused what file permissions forbid, also where root runs it."""
    if os.getuid() != 0:
        return
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    # Effective, permitted and inheritable ones, below 32 and above.
    capabilities = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, capabilities) == 0
    for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        for which in range(3):
            capabilities[which] &= ~(1 << capability)
    assert libc.capset(header, capabilities) == 0


def resize(disk: Path, *, kilobytes: int) -> None:
    """Give a small disk another size, while it is in use."""
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
