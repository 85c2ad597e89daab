"""Options of commands that are settings: name, type, default, bounds and meaning come from where the setting stands."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import wraps
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer
from pydantic.fields import FieldInfo

from slowmo_pipeline.cli.completion import values_of
from slowmo_pipeline.errors import SettingsError
from slowmo_pipeline.settings import FIELDS, LIMITS, meaning, parse_limits, parse_settings, plain_type

GivenLimits = Annotated[
    list[str],
    typer.Option(
        "--limit",
        help=f"Accept more or less than the settings say, max_new_frames=500000 say. Repeatable. The limits are "
        f"{', '.join(LIMITS)}.",
    ),
]

CLIPS = typer.Argument(help="Video files, and folders of images.", show_default=False, readable=False)
Clips = Annotated[list[Path], CLIPS]
"""Whether each can be read is told of each, while the others go on."""

ImageRate = Annotated[
    str | None,
    typer.Option("--image-rate", help="Images a second of folders of images; unset: 25.", show_default=False),
]


def image_rate_of(given: str | None, clips: Sequence[Path]) -> Fraction:
    """The rate for these clips. Raises SettingsError for a bad one, or one that no clip is made with."""
    from slowmo_pipeline.steps.clips import IMAGE_RATE, parse_image_rate

    if given is None:
        return IMAGE_RATE
    if not any(map(os.path.isdir, clips)):
        raise SettingsError("--image-rate is for folders of images: a video has its own rate.")
    return parse_image_rate(given)


def with_limits(given: Mapping[str, object], limits: Sequence[str]) -> dict[str, object]:
    """The settings that were given as options, and those of `--limit`. Raises SettingsError for a bad one."""
    options = {**given, **parse_limits(limits)}
    parse_settings(options, origin="The options")
    return options


def with_settings(
    settings: Mapping[str, FieldInfo], *, panel: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting; those that were given reach it as keyword arguments.

    A path that must be given becomes an argument. Values are not checked here, so that the command line, the launchpad
    and files are answered in the same words. `panel` is the heading in `--help`.
    """
    options = [_parameter(name, field, panel) for name, field in settings.items()]
    names = {option.name: name for option, name in zip(options, settings, strict=True)}

    def with_them(command: Callable[..., None]) -> Callable[..., None]:
        own = [each for each in inspect.signature(command).parameters.values() if each.kind is not each.VAR_KEYWORD]

        @wraps(command)
        def called(**arguments: Any) -> None:
            given = {name: each for name, each in arguments.items() if each is not None or name not in names}
            command(**{names.get(name, name): each for name, each in given.items()})

        # Typer reads it when the command is registered.
        signature = inspect.Signature(sorted([*options, *own], key=lambda each: each.kind))
        called.__signature__ = signature  # type: ignore[attr-defined]  # a function takes one, mypy does not know
        return called

    return with_them


def with_video_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options for these settings of videos; without names for all but the limits (see GivenLimits)."""
    chosen = names or [name for name in FIELDS if name not in LIMITS]
    return with_settings({name: FIELDS[name] for name in chosen}, panel="Settings of the videos")


def _parameter(name: str, field: FieldInfo, panel: str | None) -> inspect.Parameter:
    required, kind = field.is_required(), plain_type(field)
    is_path, is_table = required and kind is Path, get_origin(kind) is dict
    told = meaning(field)
    if is_path:
        info: Any = typer.Argument(help=told, show_default=False)
    else:
        option = name.replace("_", "-")
        info = typer.Option(
            f"--{option}/--no-{option}" if kind is bool else f"--{option}",
            help=f"NAME=VALUE, repeatable. {told}" if is_table else told,
            show_default=_shown_default(field) or False,
            autocompletion=values_of(name, field),
            rich_help_panel=panel,
        )
    typed = list[str] if is_table else kind if kind in (bool, int, float, Path) else str
    return inspect.Parameter(
        f"{name}_" if iskeyword(name) else name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[typed if required else typed | None, info],
        default=inspect.Parameter.empty if required else None,
    )


def _shown_default(field: FieldInfo) -> str | None:
    if field.is_required() or field.default in (None, {}):
        return None
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
