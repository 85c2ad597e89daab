"""What may be installed beside this program: no release with a hole that was published."""

import configparser
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from slowmo_pipeline_tests.support.places import REPOSITORY

FILES = [
    REPOSITORY / "deploy" / "serving" / "requirements.txt",
    REPOSITORY / "slowmo_pipeline" / "serving" / "container" / "djl" / "requirements.txt",
    REPOSITORY / "slowmo_pipeline" / "interpolation" / "film" / "requirements.txt",
]

LAST_WITH_A_HOLE = {
    "av": "17.1.0",  # the wheels' FFmpeg: CVE-2026-8461, mended in 8.1.2
    "imageio-ffmpeg": "0.7.0",  # the same
    "opencv-python-headless": "4.13.0.92",  # the wheels' libpng: CVE-2026-22801; up to 4.11: CVE-2025-53644
    "pytest": "9.0.2",  # CVE-2025-71176
    "requests": "2.32.5",  # CVE-2026-25645; up to 2.32.3: CVE-2024-47081
    "sagemaker": "3.7.1",  # CVE-2026-8597
    "starlette": "1.3.0",  # CVE-2026-54283; up to 0.49.0: CVE-2025-62727
    "urllib3": "2.6.3",  # CVE-2026-44431
}
"""By package: the last release with a published hole, as OSV and the packages' own advisories tell."""


def required() -> Iterator[Requirement]:
    """Everything that is named for Python 3.11 and newer; for 3.10 no wheels of av are without a hole."""
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    extras = config["options.extras_require"].values()
    texts = [config["options"]["install_requires"], *extras, *(path.read_text() for path in FILES)]
    lines = {line.strip() for text in texts for line in text.splitlines()}
    for line in lines:
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"python_version": "3.11"}):
                yield requirement


@pytest.mark.parametrize("package", LAST_WITH_A_HOLE)
def test_no_release_with_a_published_hole_is_allowed(package: str) -> None:
    named = [requirement for requirement in required() if canonicalize_name(requirement.name) == package]
    assert named
    assert not [str(requirement) for requirement in named if requirement.specifier.contains(LAST_WITH_A_HOLE[package])]
