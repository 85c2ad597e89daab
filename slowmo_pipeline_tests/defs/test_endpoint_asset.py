"""A video made with an older model shows as out of date on its partition, and no other video does."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from slowmo_pipeline.defs.endpoint_asset import endpoint, made_with
from slowmo_pipeline.defs.model_sensor import ModelCursor, served_models
from slowmo_pipeline.defs.partitions import videos
from slowmo_pipeline.defs.resources import PipelineStorage
from slowmo_pipeline.endpoint.record import EndpointRecord, forget_served, write_served
from slowmo_pipeline.errors import EndpointError
from slowmo_pipeline.steps.cut import cut
from slowmo_pipeline.steps.records import ActiveVersions
from slowmo_pipeline.steps.video_status import VideoStatuses
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.json_records import write_record
from slowmo_pipeline.storage.keys import VideoKeys
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.stored import read_json
from slowmo_pipeline_tests.support.videos import drop, drop_and_cut, finish, quiet, serve


@dg.asset(partitions_def=videos, deps=[endpoint])
def interpolated_chunks(context: dg.AssetExecutionContext, storage: PipelineStorage) -> dg.MaterializeResult[None]:
    """Binds itself to the model in force, and does nothing else."""
    opened = storage.open()
    versions = ActiveVersions(**read_json(opened, VideoKeys(context.partition_key).current))
    return dg.MaterializeResult(tags=made_with(context, opened, versions))


defs = dg.Definitions([endpoint, interpolated_chunks], resources={"storage": PipelineStorage(url=None)})


@dataclass
class Archive:
    """Videos whose chunks were interpolated, and endpoints."""

    instance: dg.DagsterInstance
    storage: Storage
    cursor: str | None = None

    def serve(self, interpolator: str, model_id: str) -> None:
        """An endpoint runs a model from now on."""
        write_served(self.storage, interpolator, EndpointRecord(model_id=model_id, max_body_bytes=10**6))

    def plan(self, video_id: str, interpolator: str, model_id: str) -> None:
        """A video is cut for a model."""
        self.instance.add_dynamic_partitions(str(videos.name), [video_id])
        versions = ActiveVersions(plan="plan", interpolator=interpolator, model_id=model_id)
        write_record(self.storage, VideoKeys(video_id).current, versions)

    def interpolate(self, *video_ids: str) -> None:
        """The new frames of videos are there."""
        for video_id in video_ids:
            dg.materialize(
                [endpoint, interpolated_chunks],
                selection=[interpolated_chunks],
                instance=self.instance,
                partition_key=video_id,
                resources=defs.resources,
            )

    def tick(self) -> str | None:
        """The sensor, as the daemon evaluates it."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=dict(defs.resources or {})
        ) as context:
            data = served_models.evaluate_tick(context)
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = data.cursor
        assert not data.run_requests
        return data.skip_message

    def outdated(self) -> dict[str, str]:
        """Why a video shows as out of date in Dagster, for each that does."""
        resolver = CachingStaleStatusResolver(
            self.instance, defs.resolve_asset_graph(), LoadingContextForTest(self.instance)
        )
        key = interpolated_chunks.key
        return {
            video_id: "; ".join(f"{cause.dependency} {cause.reason}" for cause in causes)
            for video_id in self.instance.get_dynamic_partitions(str(videos.name))
            if (causes := resolver.get_stale_causes(key, video_id))
        }


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def archive(instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("SLOWMO_STORAGE", str(tmp_path))
    for video_id in instance.get_dynamic_partitions(str(videos.name)):
        instance.delete_dynamic_partition(str(videos.name), video_id)
    instance.wipe_assets([endpoint.key, interpolated_chunks.key])
    archive = Archive(instance, open_storage(str(tmp_path)))
    archive.serve("film", "film-1")
    archive.serve("flow", "flow-1")
    for video_id, interpolator in (("old", "film"), ("new", "film"), ("other", "flow")):
        archive.plan(video_id, interpolator, f"{interpolator}-1")
    return archive


def test_a_video_of_the_model_that_is_served_is_up_to_date(archive: Archive) -> None:
    archive.interpolate("old", "other")
    archive.tick()
    assert archive.outdated() == {}


def test_a_video_of_an_older_model_is_out_of_date_because_of_its_endpoint_and_no_other_is(archive: Archive) -> None:
    archive.interpolate("old", "other")
    archive.serve("film", "film-2")
    archive.plan("new", "film", "film-2")
    archive.interpolate("new")
    assert archive.tick() == "Observed the endpoint of 3 videos."
    assert list(archive.outdated()) == ["old"]
    assert "'endpoint'" in archive.outdated()["old"]
    assert archive.outdated()["old"].endswith("has a new dependency data version")


def test_it_is_up_to_date_once_made_anew(archive: Archive) -> None:
    archive.interpolate("old")
    archive.serve("film", "film-2")
    archive.tick()
    archive.plan("old", "film", "film-2")
    archive.interpolate("old")
    assert archive.outdated() == {}


def test_it_is_up_to_date_once_the_older_model_is_back(archive: Archive) -> None:
    archive.interpolate("old")
    for model_id in ("film-2", "film-1"):
        archive.serve("film", model_id)
        archive.tick()
    assert archive.outdated() == {}


@pytest.mark.parametrize("observed", [True, False])
def test_a_video_that_a_deployment_overtook_is_out_of_date_at_once(archive: Archive, observed: bool) -> None:
    archive.serve("film", "film-2")
    if observed:
        archive.tick()
    archive.interpolate("old")
    assert list(archive.outdated()) == ["old"]


def test_running_it_again_does_not_hide_that_its_model_is_older(archive: Archive) -> None:
    archive.serve("film", "film-2")
    archive.interpolate("old")
    archive.interpolate("old")
    assert list(archive.outdated()) == ["old"]


def test_without_an_endpoint_nothing_fails_and_nothing_is_out_of_date(archive: Archive) -> None:
    archive.interpolate("old")
    forget_served(archive.storage, "film")
    archive.tick()
    archive.interpolate("old")
    assert archive.outdated() == {}


def test_only_a_changed_model_is_observed(archive: Archive) -> None:
    assert archive.tick() == "Observed the endpoint of 3 videos."
    assert archive.tick() == "Every endpoint runs the model it ran before."
    archive.serve("flow", "flow-2")
    assert archive.tick() == "Observed the endpoint of 1 videos."


@pytest.mark.parametrize("by_whom", ["the sensor", "a run"])
def test_what_is_observed_is_filled(archive: Archive, by_whom: str) -> None:
    archive.tick() if by_whom == "the sensor" else archive.interpolate("old", "new", "other")
    assert archive.instance.get_materialized_partitions(endpoint.key) == {"old", "new", "other"}


def test_a_home_whose_observations_filled_nothing_is_observed_once_more(archive: Archive) -> None:
    archive.cursor = '{"after":"","changed":[],"models":{"film":"film-1","flow":"flow-1"}}'
    assert archive.tick() == "Observed the endpoint of 3 videos."
    assert archive.tick() == "Every endpoint runs the model it ran before."


def test_a_video_without_a_plan_is_not_observed(archive: Archive) -> None:
    archive.instance.add_dynamic_partitions(str(videos.name), ["unplanned"])
    assert archive.tick() == "Observed the endpoint of 3 videos."


def test_a_tick_observes_so_many_and_the_next_the_rest(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowmo_pipeline.defs.model_sensor.VIDEOS_A_TICK", 2)
    assert [archive.tick() for _ in range(3)] == [
        "Observed the endpoint of 2 videos.",
        "Observed the endpoint of 1 videos.",
        "Every endpoint runs the model it ran before.",
    ]


def test_a_change_while_videos_are_observed_begins_again_and_forgets_none() -> None:
    halfway = ModelCursor(told={"film": "film-1", "flow": "flow-1"}, changed=["film"], after="m")
    assert halfway.at({"film": "film-1", "flow": "flow-2"}) == ModelCursor(
        told={"film": "film-1", "flow": "flow-2"}, changed=["film", "flow"], after=""
    )


def observed(archive: Archive) -> dict[str, object]:
    """The metadata of the latest observation for a video."""
    of_video = dg.AssetRecordsFilter(endpoint.key, asset_partitions=["old"])
    [record, *_] = archive.instance.fetch_observations(of_video, limit=1).records
    observation = record.event_log_entry.asset_observation
    assert observation is not None
    return {name: value.value for name, value in observation.metadata.items()}


@pytest.mark.usefixtures("s3_url")
def test_what_was_observed_tells_where_the_model_runs_and_how_that_is(
    archive: Archive, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    write_served(
        archive.storage,
        "film",
        EndpointRecord(
            model_id="film-2", max_body_bytes=10**6, sagemaker_endpoint="slowmo-film", instance_type="ml.g5.xlarge"
        ),
    )
    archive.tick()
    by_the_sensor = observed(archive)
    archive.plan("old", "film", "film-2")
    archive.interpolate("old")

    assert by_the_sensor == observed(archive)
    assert by_the_sensor == {
        "interpolator": "film",
        "model": "film-2",
        "sagemaker_endpoint": "slowmo-film",
        "instance_type": "ml.g5.xlarge",
        "status": "not there",
    }


def test_nothing_is_said_of_where_an_older_model_ran(archive: Archive) -> None:
    archive.interpolate("old")
    forget_served(archive.storage, "film")
    archive.interpolate("old")

    assert observed(archive) == {"interpolator": "film", "model": "film-1"}


def test_a_status_that_sagemaker_does_not_tell_holds_nothing_up(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status_of(name: str) -> str:
        raise EndpointError(f"AWS does not let these credentials use {name}.")

    monkeypatch.setattr("slowmo_pipeline.defs.endpoint_asset.status_of", status_of)
    write_served(
        archive.storage,
        "film",
        EndpointRecord(
            model_id="film-2", max_body_bytes=10**6, sagemaker_endpoint="slowmo-film", instance_type="ml.g5.xlarge"
        ),
    )
    archive.tick()

    assert observed(archive)["status"] == "not known: AWS does not let these credentials use slowmo-film."


def is_outdated(storage: Storage, video_id: str) -> bool:
    return VideoStatuses(storage).of(video_id).is_outdated


def test_a_finished_video_is_outdated_once_its_endpoint_runs_another_model(folder: Storage) -> None:
    video_id, _ = drop_and_cut(folder)
    serve(folder, model_id="fade-2")
    assert not is_outdated(folder, video_id)  # not finished
    serve(folder)
    finish(folder, video_id)
    assert not is_outdated(folder, video_id)
    serve(folder, model_id="fade-2")
    assert is_outdated(folder, video_id)
    cut(folder, video_id, progress=quiet)
    assert is_outdated(folder, video_id)  # until it is made anew
    forget_served(folder, "flow")
    assert not is_outdated(folder, video_id)  # nothing newer is known


def test_what_was_never_planned_is_not_outdated(folder: Storage) -> None:
    assert not is_outdated(folder, drop(folder))
