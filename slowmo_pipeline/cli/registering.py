"""How a command gets its help: the docstring, and examples that can be typed as they stand."""

import inspect
from collections.abc import Callable
from typing import TypeVar

import typer

_Command = TypeVar("_Command", bound=Callable[..., None])


def command(
    app: typer.Typer, *examples: str, name: str | None = None, panel: str | None = None
) -> Callable[[_Command], _Command]:
    """Register a function as a command of `app`; `panel` is the heading that it stands under in the list of commands.

    A terminal breaks the lines of its docstring's paragraphs, not the source.
    """

    def register(function: _Command) -> _Command:
        app.command(name, help=_paragraphs(function), epilog=_epilog(examples), rich_help_panel=panel)(function)
        return function

    return register


def _paragraphs(function: Callable[..., None]) -> str:
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _epilog(examples: tuple[str, ...]) -> str:
    return "\n".join(("Examples:", *(f"  {example}" for example in examples)))
