"""Tables and facts on stdout: aligned, and never cut, since scripts read them as well."""

from collections.abc import Iterable


def print_columns(rows: Iterable[tuple[str, ...]]) -> None:
    """Print one row or more, all of one length."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)


def print_facts(**facts: object) -> None:
    """Print each name with its fact."""
    print_columns((name, str(fact)) for name, fact in facts.items())
