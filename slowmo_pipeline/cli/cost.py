"""`slowmo cost`: what clips would cost on an endpoint of Amazon SageMaker, before anything is spent."""

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slowmo_pipeline.cli.options import Clips, GivenLimits, ImageRate, image_rate_of, with_limits, with_video_settings
from slowmo_pipeline.cli.plan import look_at
from slowmo_pipeline.deployment.settings import DeploymentSettings
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import SlowmoError, usage
from slowmo_pipeline.settings import PACE

if TYPE_CHECKING:
    from slowmo_pipeline.endpoint.prices import Estimate
    from slowmo_pipeline.storage.base import Storage

_DEPLOYED = DeploymentSettings.model_fields
_INTERPOLATOR = _DEPLOYED["interpolator"].default
_HEADER = ("clip", "new frames", "megapixels", "endpoint seconds", "instance hours", "USD")


@with_video_settings(*PACE)
def cost(
    clips: Clips,
    *,
    instance_type: Annotated[str, typer.Option(help="What the endpoint runs on.")] = _DEPLOYED["instance_type"].default,
    interpolator: Annotated[str, typer.Option(help="The endpoint whose speed was measured.")] = _INTERPOLATOR,
    seconds_per_megapixel: Annotated[
        float | None,
        typer.Option(
            help="Seconds for a million pixels of new frames; unset: measured on the videos that the endpoint finished."
        ),
    ] = None,
    image_rate: ImageRate = None,
    limits: GivenLimits = [],  # noqa: B006  # Typer reads it, and copies
    prices: Annotated[
        Path | None, typer.Option(help="A price table (JSON) to use instead of the one that comes with this program.")
    ] = None,
    **given: object,
) -> None:
    """Estimate what the new frames of video files cost on Amazon SageMaker. Nothing is uploaded.

    Every clip is decoded once, since its new frames are counted, not guessed. A file CLIP.slowmo.json beside a clip
    holds settings, and the storage's settings.json those of all clips; options win over both. A clip that fails does
    not stop the others; the exit code is 1 then.

    The idle tail is what one instance costs from the last chunk on, until the alarm of its scaling stops it: some 15
    minutes, whatever the scale-in cooldown is.
    """
    from slowmo_pipeline.endpoint.prices import check_speed, known_price, packaged_prices, read_prices
    from slowmo_pipeline.steps.inspect_upload import defaults
    from slowmo_pipeline.storage.opening import open_storage

    with usage():
        if seconds_per_megapixel is not None:
            check_speed(seconds_per_megapixel)
        table = read_prices(prices) if prices else packaged_prices()
        usd_per_hour = known_price(instance_type, table)
        given = with_limits(given, limits)
        rate = image_rate_of(image_rate, clips)
    storage = open_storage(current_home().storage_url)
    common = defaults(storage)
    speed, measurement = _speed(seconds_per_megapixel, storage, interpolator, instance_type)
    estimates: list[tuple[str, Estimate]] = []
    for clip in clips:
        try:
            estimates.append((clip.name, _estimate(storage, clip, common, given, rate, speed, usd_per_hour)))
        except SlowmoError as error:
            print(f"{clip.name}: {error}", file=sys.stderr)
    if estimates:
        _print_table(estimates)
        for line in (
            f"Price: {usd_per_hour} USD an hour for each {instance_type} ({table.origin}). {table.note}".rstrip(),
            f"Speed: {speed:.4g} seconds a megapixel of new frames, {measurement}.",
            _idle_tail(),
            "Not in it: the minutes in which an instance starts, more idle time between requests, failed attempts, S3, "
            "data transfer.",
        ):
            print(line, file=sys.stderr)
    if len(estimates) < len(clips):
        raise typer.Exit(1)


def _idle_tail() -> str:
    """What is counted, and what several instances would take, for an endpoint with a deployment's defaults."""
    from slowmo_pipeline.endpoint.prices import SCALE_IN_ALARM_SECONDS, idle_seconds

    most, cooldown = _DEPLOYED["max_instances"].default, _DEPLOYED["scale_in_cooldown"].default
    best, worst = idle_seconds(most, scale_in_cooldown=cooldown)
    return (
        f"Idle tail: {SCALE_IN_ALARM_SECONDS} s of one instance, since the alarm that stops it wants 15 minutes below "
        f"the backlog's target. {most} instances at the end take {best} s in all if AWS stops them in one step, and "
        f"{worst} s one by one, with a scale-in cooldown of {cooldown} s in between."
    )


def _speed(given: float | None, storage: "Storage", interpolator: str, instance_type: str) -> tuple[float, str]:
    """Seconds a megapixel, and where they come from."""
    from slowmo_pipeline.steps.measured_speed import measured_speed

    if given is not None:
        return given, "as given"
    measured = measured_speed(storage, interpolator, instance_type=instance_type)
    return measured.seconds_per_megapixel, f"measured on the latest videos of {measured.model_id} ({measured.videos})"


def _estimate(
    storage: "Storage",
    clip: Path,
    common: Mapping[str, object],
    options: Mapping[str, object],
    image_rate: Fraction,
    speed: float,
    usd_per_hour: Decimal,
) -> "Estimate":
    from slowmo_pipeline.endpoint.prices import estimate
    from slowmo_pipeline.steps.planning import plan_of

    settings, info = look_at(storage, clip, common, options, image_rate, decode=True)
    return estimate(
        new_frames=plan_of(info, settings).new_frame_count,
        width=info.width,
        height=info.height,
        seconds_per_megapixel=speed,
        usd_per_hour=usd_per_hour,
    )


def _print_table(estimates: Sequence[tuple[str, "Estimate"]]) -> None:
    from slowmo_pipeline.endpoint.prices import SCALE_IN_ALARM_SECONDS, Estimate

    usd_per_hour = estimates[0][1].usd_per_hour
    rows = [(name, *_cells(found)) for name, found in estimates]
    if len(estimates) > 1:
        found = [each for _, each in estimates]
        total = Estimate(
            new_frames=sum(each.new_frames for each in found),
            pixels=sum(each.pixels for each in found),
            endpoint_seconds=sum(each.endpoint_seconds for each in found),
            usd_per_hour=usd_per_hour,
        )
        rows.append(("all clips", *_cells(total)))
    idle = Estimate(0, 0, SCALE_IN_ALARM_SECONDS, usd_per_hour)
    rows.append(("idle tail", "", "", "", *_cells(idle)[-2:]))
    table = [_HEADER, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *cells in table:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        print("  ".join((name.ljust(widths[0]), *numbers)))


def _cells(found: "Estimate") -> tuple[str, str, str, str, str]:
    return (
        str(found.new_frames),
        f"{found.megapixels:.1f}",
        f"{found.endpoint_seconds:.1f}",
        f"{found.instance_hours:.4f}",
        f"{found.usd:.4f}",
    )
