"""What the pages say of the code is so."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from slowmo_pipeline.chunks.documents import ChunkConfig, ResultConfig
from slowmo_pipeline.definitions import defs
from slowmo_pipeline_tests.support.pages import DOCS, PAGES, fenced, first_commands, name_of, tables
from slowmo_pipeline_tests.support.places import REPOSITORY

MESSAGES = [row[0].strip("`") for row in tables(DOCS / "troubleshooting.md")]


def said() -> Iterator[str]:
    """Every text of the code, with `…` for what differs."""
    for path in (REPOSITORY / "slowmo_pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


SAID = [" ".join(text.split()) for text in said()]


def is_said(message: str) -> bool:
    """Whether one text of the code has the words of a message in their order. A `…` stands for anything."""
    words = re.compile(".*".join(re.escape(piece.strip()) for piece in message.split("…")))
    return any(words.search(text) for text in SAID)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_troubleshooting_is_said_by_the_code(message: str) -> None:
    assert is_said(message)


def test_other_messages_would_be_noticed() -> None:
    assert not is_said("127.0.0.1:… cannot be served: …. Choose another --gate.")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_address_elsewhere_is_a_whole_one(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]*:[^)]*)\)", page.read_text()):
        address = urlsplit(target)
        assert address.scheme == "https", target
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", address.netloc), target


USERS_OWN = {"queue.py", "gql.py"}
"""Modules in the folder in which somebody works."""


def test_modules_are_named_by_where_they_are() -> None:
    code = [path for folder in ("slowmo_pipeline", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")]
    there = [f"/{path.relative_to(REPOSITORY).as_posix()}" for path in code]
    for path in (*PAGES, *code):
        for name in {*re.findall(r"(?<![\w./-])[\w/]+\.py\b", path.read_text())} - USERS_OWN:
            known = (REPOSITORY / name).is_file() or any(module.endswith(f"/{name}") for module in there)
            assert known, f"{name_of(path)} names {name}"


@pytest.mark.parametrize("text", fenced(DOCS / "chunks.md", "json"))
def test_a_document_on_the_page_of_the_format_is_read_by_the_code(text: str) -> None:
    kind = ResultConfig if "model_id" in json.loads(text) else ChunkConfig
    written = kind.from_json(text.encode()).to_json()
    assert json.loads(written) == json.loads(text)


def test_the_page_of_the_ui_names_everything_that_dagster_loads() -> None:
    named = {name for row in tables(DOCS / "dagster.md") for name in re.findall(r"`(\w+)`", row[0])}
    loaded = {each.name for each in (*(defs.jobs or ()), *(defs.sensors or ()))}
    assert named == loaded | {key.to_user_string() for key in defs.resolve_all_asset_keys()}


def test_the_page_of_the_ui_names_every_check() -> None:
    checks = {check.name for check in defs.resolve_asset_graph().asset_check_keys}
    assert checks
    assert not [name for name in checks if f"`{name}`" not in (DOCS / "dagster.md").read_text()]


def test_every_variable_of_the_environment_is_told() -> None:
    code = (REPOSITORY / "slowmo_pipeline" / "environment.py").read_text()
    told = "".join((DOCS / name).read_text() for name in ("settings.md", "aws.md"))
    read = set(re.findall(r'"(SLOWMO_\w+)"', code))
    assert len(read) > 4
    assert not {name for name in read if f"`{name}`" not in told}


def test_the_readme_begins_with_what_it_is_a_picture_and_two_commands() -> None:
    first, *rest = first_commands()
    [title, what, picture, block, *_] = (REPOSITORY / "README.md").read_text().split("\n\n")
    assert (title[:2], picture[:2], len(rest)) == ("# ", "![", 1)
    assert what.startswith("Turns ordinary video into super slow motion")
    assert block.strip().startswith(first)


def test_pictures_are_small() -> None:
    pictures = list((DOCS / "pictures").iterdir())
    assert pictures
    assert not {path.name: path.stat().st_size for path in pictures if path.stat().st_size > 150_000}
