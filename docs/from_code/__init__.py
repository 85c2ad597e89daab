"""What the pages take from the code when they are built, so that it cannot be stale: settings, Python API, diagram."""

import inspect
from collections.abc import Sequence

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import slowmo_pipeline
from from_code.rooms import described, drawing, read_rooms
from slowmo_pipeline.settings import FIELDS, LIMITS, PACE, meaning


class Settings(SphinxDirective):
    """Every setting, by what it is about: its default and its meaning."""

    def run(self) -> list[nodes.Node]:
        """The headings and lists."""
        others = [name for name in FIELDS if name not in (*PACE, *LIMITS)]
        groups = {"Time": PACE, "How it is made and stored": others, "Limits": LIMITS}
        lines = [line for title, names in groups.items() for line in (f"## {title}", "", *_entries(names))]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _entries(names: Sequence[str]) -> list[str]:
    lines = []
    for name in names:
        lines += [f"`{name}`, by default {_written(FIELDS[name].default)}", f": {meaning(FIELDS[name])}", ""]
    return lines


def _written(default: object) -> str:
    if default is None:
        return "not set"
    if isinstance(default, bool):
        return "true" if default else "false"
    return f"{default:,}" if isinstance(default, int) else f"{default}"


class PythonApi(SphinxDirective):
    """Every public name, with its docstring."""

    def run(self) -> list[nodes.Node]:
        """One entry a name."""
        lines: list[str] = []
        for name in sorted(slowmo_pipeline.__all__, key=str.lower):
            lines += ["```{eval-rst}", *_documented(name), "```", ""]
        return self.parse_text_to_nodes("\n".join(lines))


def _documented(name: str) -> list[str]:
    value = getattr(slowmo_pipeline, name)
    if not inspect.isclass(value):
        return [f".. autofunction:: slowmo_pipeline.{name}"]
    kind = "autoexception" if issubclass(value, Exception) else "autoclass"
    # Of a model of pydantic's, the page of the settings has the fields, and nobody calls the rest.
    is_model = hasattr(value, "model_fields")
    members = [] if is_model else ["   :members:", "   :undoc-members:"]
    return [f".. {kind}:: slowmo_pipeline.{name}{'(**settings)' if is_model else '()'}", *members]


class Rooms(SphinxDirective):
    """The packages as they import each other, drawn, and what each is for."""

    def run(self) -> list[nodes.Node]:
        """The drawing and the list."""
        rooms = read_rooms()
        lines = [f"- `{name}`: {told}" for name, told in described(rooms).items()]
        return [nodes.raw("", drawing(rooms), format="html"), *self.parse_text_to_nodes("\n".join(lines))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.add_directive("settings", Settings)
    app.add_directive("python-api", PythonApi)
    app.add_directive("rooms", Rooms)
    return {"parallel_read_safe": True}
