"""Why a step of a run failed, in words for people."""

import dagster as dg

_INTERRUPTED = dg.DagsterExecutionInterruptedError.__name__


def reason_of(event: dg.DagsterEvent) -> str:
    """The reason that a step's failure gives: its own sentence, where the error was an expected one."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    if was_interrupted(event):
        return "It was interrupted. Run it again: it goes on where it was."
    error = data.error and (data.error.cause or data.error)
    message = error.message.strip() if error else "no reason given"
    return f"An error that should not happen, in {event.step_key}: {message}"


def was_interrupted(event: dg.DagsterEvent) -> bool:
    """Whether a step failed since its process was told to end, by SIGINT or SIGTERM."""
    error = event.step_failure_data.error
    return error is not None and _INTERRUPTED in (error.cls_name, error.cause and error.cause.cls_name)
