"""The options of interpolators on the command line: what the catalog's entries say that they take."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from slowmo_pipeline.cli.completion import model_names
from slowmo_pipeline.interpolation.catalog import INTERPOLATORS, CatalogEntry, Option

Chosen = Mapping[str, Any]
"""What was given of the options of interpolators, by the names of `CatalogEntry.local_options`."""


def with_interpolator_options(command: Callable[..., None]) -> Callable[..., None]:
    """Have a command take an option for each name of `CatalogEntry.local_options` where it has the parameter `chosen`.

    The command gets those that were given, as Chosen. A name that is a parameter of its own stays one.
    """
    signature = inspect.signature(command)
    options = {name: option for name, option in _options().items() if name not in signature.parameters}

    @wraps(command)
    def taking(**arguments: Any) -> None:
        chosen = {name: value for name in options if (value := arguments.pop(name)) is not None}
        command(**arguments, chosen=chosen)

    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += options.values() if parameter.name == "chosen" else [parameter]
    # Typer asks for nothing else; what `wraps` copied would win over it.
    taking.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    taking.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return taking


def option_help(name: str) -> str:
    """What the command line says of an option: what each interpolator that takes it says."""
    return " ".join(f"Of {entry.name}: {option.help}" for entry, option in _shown() if option.name == name)


def _shown() -> list[tuple[CatalogEntry, Option]]:
    return [(entry, option) for entry in INTERPOLATORS.values() for option in entry.options if option.help]


def _options() -> dict[str, inspect.Parameter]:
    """Parameters as Typer reads them, by name."""
    helps = [
        f"Of {name}: a {entry.weights.kind}'s folder, or the name of a fetched model; unset: {name}."
        for name, entry in INTERPOLATORS.items()
        if entry.weights
    ]
    found = {"model": _parameter("model", str, typer.Option(help=" ".join(helps), autocompletion=model_names))}
    for _, option in _shown():
        least = 1 if option.is_number else None
        shown = typer.Option(min=least, help=option_help(option.name))
        found[option.name] = _parameter(option.name, int if option.is_number else str, shown)
    return found


def _parameter(name: str, kind: type, shown: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, shown]
    )
