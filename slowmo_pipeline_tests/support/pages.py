"""The pages that people read, and what stands on them."""

import re
from collections.abc import Iterator
from pathlib import Path

from slowmo_pipeline_tests.support.places import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((REPOSITORY / "deploy").rglob("*.md")),
]

_BLOCK_LINE = re.compile(r"^ {4,}(\S.*)$")
_FENCE = re.compile(r"^ *```")
_IN_A_SENTENCE = re.compile(r"`([^`]+)`")


def name_of(page: Path) -> str:
    """Where a page lies in the repository."""
    return page.relative_to(REPOSITORY).as_posix()


def commands(program: str) -> list[str]:
    """Every command line of a program that a page shows: in blocks, or in sentences."""
    found = {
        " ".join(line.split())
        for page in PAGES
        for line in (*_blocks(page.read_text()), *_IN_A_SENTENCE.findall(_prose(page.read_text())))
        if line.split()[:1] == [program] and " " in line
    }
    return sorted(found)


def _blocks(text: str) -> Iterator[str]:
    """Lines of code: fenced, or indented by four and more, a list's continuations among them; joined at a backslash."""
    fenced = False
    for line in text.replace("\\\n", " ").splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced:
            yield line.strip()
        elif found := _BLOCK_LINE.match(line):
            yield found[1]


def _prose(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def first_commands() -> list[str]:
    """The commands of the README's first block."""
    [block, *_] = re.findall(r"(?:^ {4}\S.*\n)+", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    return [line.strip() for line in block.splitlines()]


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of a page that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def tables(page: Path) -> list[list[str]]:
    """The rows of all tables of a page, as they are written, without their headings."""
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    heads = {at + step for at, row in enumerate(rows) for step in (-1, 0) if set(row) <= set("|- ")}
    return [[cell.strip() for cell in row.strip("|").split("|")] for at, row in enumerate(rows) if at not in heads]
