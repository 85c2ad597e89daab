"""Ticks of Dagster's own daemon in this process: they honour run keys, keep cursors, and go on where a killed one was.

Runs that they ask for are queued, and nobody takes them from the queue. As a program it makes one tick of a sensor that
is killed between the reservation of its runs and their launch:

    python -m slowmo_pipeline_tests.support.daemon SENSOR
"""

import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster import RunsFilter
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.remote_representation.external import RemoteSensor
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, SensorInstigatorData
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import _process_tick_generator

from slowmo_pipeline.environment import current_home
from slowmo_pipeline.machine.home import open_instance

_LOCATION = "slowmo_pipeline"
_TICK_SECONDS = 60
"""No sensor that starts runs has a longer interval."""


@dataclass
class Daemon:
    """Evaluates one sensor of a home's instance, again and again."""

    instance: dg.DagsterInstance
    _context: WorkspaceProcessContext
    _sensor: RemoteSensor

    def tick(self, *, kill_at: str | None = None) -> None:
        """One evaluation, with the runs that it asks for; `kill_at`, in Dagster's words, is where it kills itself."""
        flags = {kill_at: signal.SIGKILL} if kill_at else None
        state = self._sensor.get_current_instigator_state(self._stored_state)
        assert isinstance(state.instigator_data, SensorInstigatorData)
        earliest = (state.instigator_data.last_tick_start_timestamp or 0) + _TICK_SECONDS
        with freeze_time(max(time.time(), earliest)):
            told = _process_tick_generator(
                self._context, logging.getLogger(__name__), self._sensor, state, flags, {}, None
            )
            errors = [error for error in told if error]
        assert not errors, errors

    def lose_cursor(self) -> None:
        """Reset the sensor's cursor, as the UI does."""
        state = self._stored_state
        assert state is not None
        self.instance.update_instigator_state(state.with_data(_at_first(self._sensor)))

    def asked_for(self, video_id: str) -> list[str]:
        """The run keys of the runs of a video, the oldest first."""
        runs = self.instance.get_runs(RunsFilter(tags={"dagster/partition": video_id}))
        return [run.tags["dagster/run_key"] for run in reversed(runs)]

    @property
    def _stored_state(self):  # type: ignore[no-untyped-def]  # Dagster's own
        return self.instance.get_instigator_state(self._sensor.get_remote_origin_id(), self._sensor.selector_id)


@contextmanager
def daemon(sensor: str) -> Iterator[Daemon]:
    """A daemon of SLOWMO_HOME that evaluates a sensor, which is started."""
    module = LoadableTargetOrigin(module_name="slowmo_pipeline.definitions")
    location = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(module, location_name=_LOCATION))
    with open_instance(current_home()) as instance, WorkspaceProcessContext(instance, location) as context:
        [repository] = context.create_request_context().get_code_location(_LOCATION).get_repositories().values()
        remote = repository.get_sensor(sensor)
        instance.start_sensor(remote)
        if instance.get_instigator_state(remote.get_remote_origin_id(), remote.selector_id) is None:
            # Of a sensor that runs by itself: the daemon remembers it as it meets it.
            declared = (InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, _at_first(remote))
            instance.add_instigator_state(InstigatorState(remote.get_remote_origin(), *declared))
        yield Daemon(instance, context, remote)


def _at_first(sensor: RemoteSensor) -> SensorInstigatorData:
    return SensorInstigatorData(min_interval=sensor.min_interval_seconds, sensor_type=sensor.sensor_type)


if __name__ == "__main__":
    with daemon(sys.argv[1]) as doomed:
        doomed.tick(kill_at="RUN_IDS_RESERVED")
