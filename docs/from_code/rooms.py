"""The packages of the code, in the layers that import-linter keeps, with the imports that grimp finds."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import grimp
from importlinter.api import read_configuration

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "slowmo_pipeline"

_ROW = 30
_NAMES = 126
_ARCS = 160


@dataclass(frozen=True)
class Rooms:
    """The folders of the package, and who imports whom."""

    layers: Sequence[Sequence[str]]
    """From the top down; what stands in one layer does not import each other."""
    arrows: Mapping[str, frozenset[str]]
    """By importer; what another arrow's rooms import anyway is left out."""


def read_rooms() -> Rooms:
    """The rooms of the code as it is now. What are single modules are left out: all may use those."""
    [layers] = [
        contract["layers"]
        for contract in read_configuration(str(REPOSITORY / "pyproject.toml"))["contracts_options"]
        if contract["type"] == "layers" and contract["containers"] == [PACKAGE]
    ]
    named = [[name.strip() for name in layer.split("|")] for layer in layers]
    folders = [[name for name in layer if (REPOSITORY / PACKAGE / name).is_dir()] for layer in named]
    imports = _imports([name for layer in folders for name in layer])
    return Rooms([layer for layer in folders if layer], _reduced(imports))


def _imports(rooms: Sequence[str]) -> dict[str, set[str]]:
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    return {
        one: {
            other
            for other in rooms
            if other != one
            and graph.direct_import_exists(importer=f"{PACKAGE}.{one}", imported=f"{PACKAGE}.{other}", as_packages=True)
        }
        for one in rooms
    }


def _reduced(imports: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    def reached(room: str) -> Iterator[str]:
        for other in imports[room]:
            yield other
            yield from reached(other)

    return {
        room: frozenset(others.difference(*(reached(other) for other in others))) for room, others in imports.items()
    }


def described(rooms: Rooms) -> dict[str, str]:
    """What each room says that it is for, in its docstring."""
    return {name: _docstring(name) for layer in rooms.layers for name in layer}


def _docstring(name: str) -> str:
    told = ast.get_docstring(ast.parse((REPOSITORY / PACKAGE / name / "__init__.py").read_text()))
    assert told, name
    return " ".join(told.split("\n\n")[0].split())


def drawing(rooms: Rooms) -> str:
    """The rooms as SVG, one below the other, in the colours of the page. Beside them, each import is an arc."""
    names = [name for layer in rooms.layers for name in layer]
    rows = {name: at * _ROW + _ROW // 2 for at, name in enumerate(names)}
    arcs = [_arc(rows[one], rows[other]) for one, others in rooms.arrows.items() for other in sorted(others)]
    lines = [_ROW * sum(map(len, rooms.layers[:at])) for at in range(1, len(rooms.layers))]
    drawn = [
        *(f'<path class="line" d="M0 {top}H{_NAMES}"/>' for top in lines),
        *arcs,
        *(f'<text x="8" y="{row + 5}">{escape(name)}</text>' for name, row in rows.items()),
    ]
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker>'
    )
    label = "The packages of the code, each with arrows to those that it imports"
    return (
        f'<svg class="rooms" viewBox="0 0 {_NAMES + _ARCS} {len(names) * _ROW}" role="img" aria-label="{label}">'
        f"<defs>{head}</defs>{''.join(drawn)}</svg>"
    )


def _arc(begin: int, end: int) -> str:
    """From beside one name to beside a lower one, the wider the longer it is."""
    begin, end = begin + 4, end - 4
    reach = _NAMES + 14 + (end - begin) // 2
    curve = f"M{_NAMES} {begin}C{reach} {begin} {reach} {end} {_NAMES} {end}"
    return f'<path class="arc" marker-end="url(#head)" d="{curve}"/>'
