"""`slowmo endpoint`: the life of an endpoint at Amazon SageMaker."""

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slowmo_pipeline.cli.options import with_settings
from slowmo_pipeline.cli.registering import command
from slowmo_pipeline.cli.tables import print_facts
from slowmo_pipeline.deployment.settings import DEFAULT_NAME, DeploymentSettings, parse_deployment
from slowmo_pipeline.environment import current_home
from slowmo_pipeline.errors import SettingsError, usage

if TYPE_CHECKING:
    from slowmo_pipeline.deployment.status import EndpointStatus
    from slowmo_pipeline.progress import Progress

endpoint_app = typer.Typer(no_args_is_help=True, help="The endpoint that makes the new frames.")

Name = Annotated[str, typer.Option(help="Of the deployment.")]


@command(
    endpoint_app,
    "slowmo endpoint deploy model.tar.gz --role-arn ROLE --image-uri IMAGE",
    "slowmo endpoint deploy model.tar.gz --role-arn ROLE --image-uri IMAGE --instance-type ml.g5.xlarge",
)
@with_settings(DeploymentSettings.model_fields)
def deploy(**given: Any) -> None:
    """Deploy an endpoint at SageMaker, or make the one of that name what the options say; wait until it runs.

    Prints what it changed, or that nothing was to be changed. Cut off anywhere, the same command goes on where it was.
    """
    from slowmo_pipeline.deployment.deploy import deploy as deploy_endpoint
    from slowmo_pipeline.serving.container.package import packaged_model_id
    from slowmo_pipeline.steps.under_way import under_way
    from slowmo_pipeline.storage.opening import open_storage

    with usage():
        settings = parse_deployment({**given, "environment": dict(map(_assignment, given.get("environment", ())))})
    changes: list[str] = []
    storage = open_storage(current_home().storage_url)
    # Before the change, which takes minutes and may be called off.
    _print_lines(under_way(storage, settings.interpolator, packaged_model_id(settings.package)))
    with _shown(settings.name, changes) as progress:
        deployed = deploy_endpoint(storage, settings, told=changes.append, progress=progress)
    if not changes:
        print("unchanged")
    print_facts(**{name: fact for name, fact in asdict(deployed).items() if fact is not None})


@command(endpoint_app, "slowmo endpoint status", "slowmo endpoint status --name second")
def status(name: Name = DEFAULT_NAME) -> None:
    """Show how an endpoint at SageMaker stands: instances, what waits, what an hour costs, what failed last.

    Says so of one that does not scale, whose instances cost their full price until somebody ends that.
    """
    from slowmo_pipeline.deployment.status import endpoint_status
    from slowmo_pipeline.storage.opening import open_storage

    storage = open_storage(current_home().storage_url)
    found = endpoint_status(storage, name)
    print_facts(**_facts(found))
    for failure in found.failures:
        message = " ".join(failure.message.split())
        print(f"failure  {failure.at:%Y-%m-%d %H:%M:%S} UTC  {storage.display_path(failure.key)}  {message}")


@command(endpoint_app, "slowmo endpoint scale --min 0 --max 4", "slowmo endpoint scale --min 1 --max 8 --target 2.5")
def scale(
    min_instances: Annotated[int, typer.Option("--min-instances", "--min", min=0, help="Instances that stay.")],
    max_instances: Annotated[int, typer.Option("--max-instances", "--max", min=1, help="Instances at most.")],
    backlog_target: Annotated[
        float | None,
        typer.Option("--backlog-target", "--target", min=0.01, help="Chunks for each instance; unset: as it is."),
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Change how many instances an endpoint at SageMaker may have, until it is deployed again."""
    from slowmo_pipeline.deployment.scale import scale as scale_endpoint
    from slowmo_pipeline.deployment.scaling import Bounds

    changes: list[str] = []
    with usage():
        scale_endpoint(name, Bounds(min_instances, max_instances), backlog_target=backlog_target, told=changes.append)
    _print_lines(changes or ["unchanged"])


@command(endpoint_app, "slowmo endpoint delete", "slowmo endpoint delete --name second")
def delete(name: Name = DEFAULT_NAME) -> None:
    """Delete a deployment at SageMaker with everything that was made for it; print what was removed.

    Also what a deploy left that was cut off. Videos, chunks and results stay.
    """
    from slowmo_pipeline.deployment.delete import delete as delete_endpoint
    from slowmo_pipeline.storage.opening import open_storage

    removed: list[str] = []
    with _shown(name, removed) as progress:
        delete_endpoint(open_storage(current_home().storage_url), name, told=removed.append, progress=progress)
    if not removed:
        print(f"nothing of {name} was there")


@contextmanager
def _shown(title: str, changes: Iterable[str]) -> Iterator["Progress"]:
    """Progress while it lasts, and at the end, also at a bad one, what was changed."""
    from slowmo_pipeline.machine.console import EXIT_INTERRUPTED, shown_progress

    try:
        with _ended_alike(), shown_progress(title) as progress:
            yield progress
    except KeyboardInterrupt as interrupt:
        print(f"Interrupted. The same command goes on where this one stopped. {interrupt}".rstrip(), file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        _print_lines(changes)


@contextmanager
def _ended_alike() -> Iterator[None]:
    """SIGTERM, by which schedulers and `timeout` end a command, ends it as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise SettingsError(f"--environment {text!r} must be NAME=VALUE.")
    return name, value


def _facts(found: "EndpointStatus") -> dict[str, object]:
    scaling = found.scaling
    facts = {
        "endpoint": f"{found.endpoint} in {found.region}",
        "status": found.status,
        "failed": found.failure_reason,
        "instances": f"{found.instances} of {found.desired_instances} wanted, {found.instance_type}",
        "scaling": f"{scaling.min_instances} to {scaling.max_instances} instances" if scaling else "none",
        "backlog": "not known" if found.backlog is None else f"{found.backlog} requests",
        "oldest": "not known" if found.oldest_seconds is None else timedelta(seconds=found.oldest_seconds),
        "unscaled": found.unscaled,
        "price": "not known" if found.price_per_hour is None else f"${found.price_per_hour} an hour (list price)",
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)
