"""Tables and facts on stdout: aligned, and never cut, since scripts read them as well."""

import sys
from collections.abc import Iterable


class Link(str):
    """A cell that leads somewhere, where it is printed on a terminal that follows links."""

    __slots__ = ("address",)
    address: str

    def __new__(cls, text: str, address: str) -> "Link":
        """Show the text."""
        link = super().__new__(cls, text)
        link.address = address
        return link


def print_columns(rows: Iterable[tuple[str, ...]]) -> None:
    """Print one row or more, all of one length."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [f"{_shown(cell)}{' ' * (width - len(cell))}" for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip(), flush=True)


def print_facts(**facts: object) -> None:
    """Print each name with its fact."""
    print_columns((name, str(fact)) for name, fact in facts.items())


def _shown(cell: str) -> str:
    if isinstance(cell, Link) and sys.stdout.isatty():
        return f"\x1b]8;;{cell.address}\x1b\\{cell}\x1b]8;;\x1b\\"
    return cell
