"""Other bounds for a running endpoint, without a new deployment."""

from slowmo_pipeline.deployment.aws import Aws, errors_as_endpoint_error
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.reporting import Report
from slowmo_pipeline.deployment.scaling import Bounds, ensure_bounds, ensure_target, require_scaling
from slowmo_pipeline.deployment.status import require_deployed


def scale(name: str, wanted: Bounds, *, backlog_target: float | None, told: Report) -> None:
    """Let the endpoint of that deployment scale between other bounds, and follow another backlog where one is given.

    Holds until the next deploy, which sets what its settings say. `told` hears of every change, or of none.
    Raises SettingsError for bounds in the wrong order, and EndpointError when there is no such endpoint, it does not
    scale yet, or AWS refuses.
    """
    aws, names = Aws(), Names(name)
    with errors_as_endpoint_error():
        require_deployed(aws, names)
        require_scaling(aws, names)
        ensure_bounds(aws, names, wanted, told)
        if backlog_target is not None:
            ensure_target(aws, names, backlog_target, told)
