"""`slowmo model`: the weights of the interpolator `film`, and packages of any interpolator."""

import importlib.util
import time
from contextlib import nullcontext
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.cli.completion import interpolators
from slowmo_pipeline.cli.interpolator_options import Chosen, option_help, with_interpolator_options
from slowmo_pipeline.cli.registering import command
from slowmo_pipeline.cli.tables import print_facts
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import ModelError, StorageError, usage
from slowmo_pipeline.interpolation.catalog import FILM_WEIGHTS, INTERPOLATORS, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from slowmo_pipeline.interpolation.film import FilmInterpolator

model_app = typer.Typer(no_args_is_help=True, help="The model of the interpolator `film`.")

PyramidLevels = Annotated[
    int, typer.Option(min=1, help="Of the network; its weights cannot tell. Published models: 7.")
]

_NO_TENSORFLOW = "FILM cannot be loaded without TensorFlow. Install it: pip install 'slowmo_pipeline[film]'."

_TIMED_SIZE = (256, 448)
"""Height and width of the frames that papers on interpolation time themselves with (Vimeo-90k's)."""


@command(model_app, "slowmo model fetch", "slowmo model fetch ~/film_net.zip --member film_net/L1 --name l1")
def fetch(
    source: Annotated[
        str | None,
        typer.Argument(
            help="An http(s) address or path of a .zip or .tar.gz, or a folder. Without it: the published FILM, by "
            "kagglehub.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Keep it under this name.")] = "film",
    member: Annotated[
        str | None, typer.Option(help="The folder inside SOURCE, where several hold a SavedModel.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Refuse any other content; of the SavedModel's files, as printed by fetch.")
    ] = None,
    pyramid_levels: PyramidLevels = 7,
) -> None:
    """Get a SavedModel, render with it once, keep it in SLOWMO_HOME, and print where it lies and its SHA-256.

    Fetch from where you would install programs from: a SavedModel is one, TensorFlow runs what its graph says.
    """
    from slowmo_pipeline.machine.console import shown_progress
    from slowmo_pipeline.models.library import fetch_model

    if importlib.util.find_spec("tensorflow") is None:  # rather than after a download of minutes
        raise ModelError(_NO_TENSORFLOW)
    # kagglehub draws bars of its own, which a second display would garble.
    with usage(), shown_progress(name) if source else nullcontext(_unseen) as progress:
        model = fetch_model(
            current_home(),
            source,
            name=name,
            member=member,
            sha256=sha256,
            try_out=lambda path: _loader()(path, pyramid_levels=pyramid_levels),
            progress=progress,
        )
    print_facts(path=model.path, sha256=model.sha256)


@command(model_app, "slowmo model info")
def info(
    model: Annotated[
        str | None,
        typer.Argument(help="Name of a fetched model, or path of a SavedModel. Default: film.", show_default=False),
    ] = None,
    pyramid_levels: PyramidLevels = 7,
    precision: Annotated[str | None, typer.Option(help=option_help("precision"))] = None,
) -> None:
    """Show what a model is, where it computes, how exactly, and how long a new frame of 448x256 pixels takes there."""
    from slowmo_pipeline.models.library import DEFAULT_NAME, resolve_model
    from slowmo_pipeline.models.saved_model import saved_model_sha256
    from slowmo_pipeline.serving.local.worker_process import usable_cores

    path = resolve_model(current_home(), model, FILM_WEIGHTS, default=DEFAULT_NAME)
    load = _loader()
    from slowmo_pipeline.interpolation.film.devices import PRECISIONS, shown_device

    film = load(path, pyramid_levels=pyramid_levels, precision=precision, compare=PRECISIONS)
    print_facts(
        path=path,
        sha256=saved_model_sha256(path),
        model_id=film.model_id,
        parameters=film.parameters,
        **asdict(film.options),
        device=shown_device(film.device),
        precision=film.precision,
        **{f"{each}_differs_by": film.differences[each] for each in PRECISIONS},
        seconds_a_frame=f"{_seconds_a_frame(film):.3f}",
        threads=usable_cores(),
    )


@command(
    model_app, "slowmo model package film -o model.tar.gz", "slowmo model package --interpolator flow -o flow.tar.gz"
)
@with_interpolator_options
def package(
    output: Annotated[Path, typer.Option("--output", "-o", help="The model.tar.gz to write.")],
    model: Annotated[
        str | None,
        typer.Argument(
            help="Name of a fetched model, or path of one. Default: the interpolator's name.", show_default=False
        ),
    ] = None,
    interpolator: Annotated[
        str, typer.Option(help=f"Whose model it is: {', '.join(INTERPOLATORS)}.", autocompletion=interpolators)
    ] = "film",
    pyramid_levels: Annotated[
        int | None, typer.Option(min=1, help="Of film's network; its weights cannot tell. Unset: 7, as published.")
    ] = None,
    *,
    chosen: Chosen,
    warm_up: Annotated[
        str | None,
        typer.Option(
            help="Width x height of the frames to come, such as 1920x1080: an endpoint renders such a pair before its "
            "first chunk. Unset: 448x256."
        ),
    ] = None,
) -> None:
    """Write the model.tar.gz that an endpoint is deployed with, and print where it lies and its SHA-256."""
    from slowmo_pipeline.models.library import model_folder
    from slowmo_pipeline.serving.container.model_folder import WARM_UP, factory_options, warm_up_size
    from slowmo_pipeline.serving.container.package import write_package
    from slowmo_pipeline.storage.disk_errors import require_replaceable

    if not output.parent.is_dir():
        raise StorageError(f"There is no folder {output.parent}: make it, or choose another --output.")
    require_replaceable(output)
    asked = {"pyramid_levels": pyramid_levels, WARM_UP: warm_up}
    with usage():
        entry = entry_of(interpolator)
        folder = model_folder(current_home(), entry, model)
        given = entry.packaged | {**chosen} | {name: value for name, value in asked.items() if value is not None}
        warm_up_size(given)  # rather than after a model was loaded
    # An endpoint would take minutes to say that it does not fit.
    model_id = entry.spec(folder, **factory_options(entry, given)).make().model_id
    with usage():
        sha256 = write_package(output, interpolator, folder, given, model_id=model_id)
    print_facts(path=output.absolute(), sha256=sha256, model_id=model_id)


def _unseen(stage: str, done: int, total: int, unit: str) -> None:
    """Progress that nobody is shown."""


def _loader() -> "Callable[..., FilmInterpolator]":
    """load_film; ModelError where TensorFlow is missing."""
    try:
        from slowmo_pipeline.interpolation.film import load_film
    except ImportError as error:
        raise ModelError(f"{_NO_TENSORFLOW} Python says: {error}.") from error
    return load_film


def _seconds_a_frame(film: "FilmInterpolator") -> float:
    """Seconds for the new frame in the middle of two, once everything is traced and allocated."""
    import numpy as np

    frames = np.random.default_rng(0).integers(0, 256, (2, *_TIMED_SIZE, 3), dtype=np.uint8)
    for _ in range(2):
        started = time.perf_counter()
        list(film.render(frames, [[Fraction(1, 2)]]))
        seconds = time.perf_counter() - started
    return seconds
