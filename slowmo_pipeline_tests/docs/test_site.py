"""The site as it is built: nothing in it warns, and what is generated is all there."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

import slowmo_pipeline
from slowmo_pipeline.settings import FIELDS, meaning
from slowmo_pipeline_tests.support.places import REPOSITORY


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every link between pages, and every name in the Python API, is looked up: what leads nowhere ends the build."""
    built = tmp_path_factory.mktemp("site")
    options = ["-n", "-W", "--keep-going", "-q", "-c", "docs", "-d", str(built / "trees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", str(built)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return built / "docs"


def text_of(page: Path) -> str:
    """What a page says, without its mark-up."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text())).split())


def test_every_setting_is_told_as_the_program_tells_it(site: Path) -> None:
    told = text_of(site / "settings.html")
    assert not [name for name, field in FIELDS.items() if " ".join(meaning(field).split()) not in told]


def test_every_public_name_has_its_entry(site: Path) -> None:
    entries = re.findall(r'id="slowmo_pipeline\.(\w+)"', (site / "python.html").read_text())
    assert sorted(entries) == sorted(slowmo_pipeline.__all__)


def test_every_folder_of_the_code_is_drawn(site: Path) -> None:
    drawn = re.findall(r"<text [^>]*>(\w+)</text>", (site / "how-it-works.html").read_text())
    assert sorted(drawn) == sorted(
        path.parent.name for path in Path(slowmo_pipeline.__file__).parent.glob("*/__init__.py")
    )


def test_pages_ask_no_other_server_for_anything(site: Path) -> None:
    """They are read where there is no network, too."""
    asked = [
        address
        for page in site.rglob("*.html")
        for address in re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="((?:https?:)?//[^"]*)"', page.read_text())
    ]
    assert not asked
