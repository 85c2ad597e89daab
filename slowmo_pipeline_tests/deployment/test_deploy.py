"""Deploying, deploying again, changing and deleting, at moto's services over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.sagemaker.models import sagemaker_backends

from slowmo_pipeline.deployment.deploy import deploy
from slowmo_pipeline.deployment.settings import parse_deployment
from slowmo_pipeline.endpoint.record import EndpointRecord, served, write_served
from slowmo_pipeline.errors import EndpointError, ModelError, StorageError
from slowmo_pipeline.serving.container.djl.environment import DJL_ENVIRONMENT
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.sagemaker_server import IMAGE, ROLE, TOPIC, Stage, deployment_stage, package_of


@pytest.fixture
def stage(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with deployment_stage(s3_server, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


def test_the_endpoint_runs_the_package_in_the_image_as_the_role(stage: Stage) -> None:
    stage.deploy(environment={"TF_CPP_MIN_LOG_LEVEL": "2"})
    model = stage.model()
    assert model["ExecutionRoleArn"] == ROLE
    assert model["PrimaryContainer"]["Image"] == IMAGE
    given = {"SLOWMO_REQUIRE_GPU": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    assert model["PrimaryContainer"]["Environment"] == {**DJL_ENVIRONMENT, **given}
    key = stage.storage.key_of(model["PrimaryContainer"]["ModelDataUrl"])
    assert stage.storage.read(key) == stage.package.read_bytes()
    assert stage.endpoint()["EndpointStatus"] == "InService"


def test_results_failures_and_notifications_go_where_the_pipeline_looks(stage: Stage) -> None:
    stage.deploy()
    output = stage.config()["AsyncInferenceConfig"]["OutputConfig"]
    topics = output.pop("NotificationConfig")
    assert output == {"S3OutputPath": stage.storage.url, "S3FailurePath": f"{stage.storage.url}/failures"}
    assert [topics[kind].rpartition(":")[2] for kind in ("SuccessTopic", "ErrorTopic")] == [*stage.names.topics]
    there = {topic["TopicArn"] for topic in stage.aws.sns.list_topics()["Topics"]}
    assert set(topics.values()) <= there


def test_the_configuration_is_that_of_the_settings(stage: Stage) -> None:
    stage.deploy(
        instance_type="ml.m5.xlarge",
        volume_gb=50,
        kms_key="alias/slowmo",
        startup_timeout=600,
        download_timeout=120,
        invocations_per_instance=2,
    )
    config = stage.config()
    [variant] = config["ProductionVariants"]
    assert variant["InstanceType"] == "ml.m5.xlarge"
    assert variant["VolumeSizeInGB"] == 50
    assert variant["InitialInstanceCount"] == 1
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    assert variant["ModelDataDownloadTimeoutInSeconds"] == 120
    assert config["KmsKeyId"] == config["AsyncInferenceConfig"]["OutputConfig"]["KmsKeyId"] == "alias/slowmo"
    assert config["AsyncInferenceConfig"]["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 2}


def test_the_endpoint_scales_on_its_backlog(stage: Stage) -> None:
    stage.deploy(scale_in_cooldown=700, scale_out_cooldown=200)
    found = {policy["PolicyName"]: policy for policy in stage.everything()["policies"]}
    tracking = found[stage.names.backlog_policy]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 5
    assert tracking["CustomizedMetricSpecification"]["MetricName"] == "ApproximateBacklogSizePerInstance"
    assert tracking["CustomizedMetricSpecification"]["Dimensions"] == [{"Name": "EndpointName", "Value": stage.name}]
    assert (tracking["ScaleInCooldown"], tracking["ScaleOutCooldown"]) == (700, 200)
    [target] = stage.everything()["targets"]
    assert (target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) == (stage.names.scalable, 0, 5)


def test_one_request_wakes_a_sleeping_endpoint(stage: Stage) -> None:
    stage.deploy()
    [alarm] = stage.aws.cloudwatch.describe_alarms(AlarmNames=[stage.names.wake_alarm])["MetricAlarms"]
    assert alarm["MetricName"] == "HasBacklogWithoutCapacity"
    assert (alarm["Threshold"], alarm["Period"], alarm["EvaluationPeriods"]) == (1, 60, 2)
    policies = stage.aws.application_autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")
    [wake] = [found for found in policies["ScalingPolicies"] if found["PolicyName"] == stage.names.wake_policy]
    assert alarm["AlarmActions"] == [wake["PolicyARN"]]
    assert wake["StepScalingPolicyConfiguration"]["StepAdjustments"][0]["ScalingAdjustment"] == 1


def test_the_pipeline_is_told_what_serves(stage: Stage) -> None:
    stage.deploy(instance_type="ml.g4dn.xlarge", environment={"SERVING_MAX_REQUEST_SIZE": "5000000"})
    began = stage.endpoint()["CreationTime"].timestamp()
    assert served(stage.storage, "film") == EndpointRecord(
        model_id="film-1-0123abcd",
        max_body_bytes=5_000_000,
        sagemaker_endpoint=stage.name,
        instance_type="ml.g4dn.xlarge",
        deployed_at=began,
    )


def test_all_that_can_be_tagged_is(stage: Stage) -> None:
    stage.deploy()
    sagemaker, tag = stage.aws.sagemaker, stage.names.tag
    arns = [stage.endpoint()["EndpointArn"], stage.config()["EndpointConfigArn"], stage.model()["ModelArn"]]
    assert all(tag in sagemaker.list_tags(ResourceArn=arn)["Tags"] for arn in arns)
    topics = [stage.aws.topic_arn(name) for name in stage.names.topics]
    assert all(tag in stage.aws.sns.list_tags_for_resource(ResourceArn=arn)["Tags"] for arn in topics)
    [alarm] = stage.aws.cloudwatch.describe_alarms(AlarmNames=[stage.names.wake_alarm])["MetricAlarms"]
    assert tag in stage.aws.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]


def test_deploying_again_changes_nothing(stage: Stage) -> None:
    assert stage.deploy()
    before = stage.everything()
    assert stage.deploy() == []
    assert stage.everything() == before


def test_a_new_model_is_served_in_place_and_the_old_one_goes(stage: Stage) -> None:
    stage.deploy()
    before, model = stage.endpoint(), stage.model()["ModelName"]
    told = stage.deploy(package=package_of(stage.folder, "film-2-4567cdef"))
    assert stage.endpoint()["CreationTime"] == before["CreationTime"]
    assert stage.endpoint()["EndpointConfigName"] != before["EndpointConfigName"]
    assert f"deleted model {model}" in told
    assert {kind: len(found) for kind, found in stage.everything().items()} == {
        **dict.fromkeys(("models", "configs", "endpoints", "targets", "alarms"), 1),
        **dict.fromkeys(("policies", "topics", "objects"), 2),
    }
    assert served(stage.storage, "film").model_id == "film-2-4567cdef"


@pytest.mark.parametrize("instances", [0, 3])
def test_a_change_keeps_busy_instances_and_wakes_a_sleeping_endpoint_to_try_it(stage: Stage, instances: int) -> None:
    stage.deploy()
    stage.aws.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=stage.name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": instances}],
    )
    stage.deploy(instance_type="ml.g4dn.xlarge")
    assert stage.endpoint()["ProductionVariants"][0]["CurrentInstanceCount"] == max(instances, 1)


def test_a_change_of_scaling_leaves_the_endpoint_alone(stage: Stage) -> None:
    stage.deploy()
    told = stage.deploy(max_instances=9, scale_in_cooldown=60)
    assert told == [
        f"set scaling of {stage.name} to 0 to 9 instances",
        f"put scaling policy {stage.names.backlog_policy}",
    ]


def test_given_topics_replace_those_of_the_deployment(stage: Stage) -> None:
    stage.deploy()
    told = stage.deploy(success_topic=TOPIC, error_topic=TOPIC)
    notified = stage.config()["AsyncInferenceConfig"]["OutputConfig"]["NotificationConfig"]
    assert set(notified.values()) == {TOPIC}
    assert {f"deleted topic {name}" for name in stage.names.topics} <= set(told)
    assert stage.everything()["topics"] == []


def test_another_interpolator_takes_the_record_along(stage: Stage) -> None:
    stage.deploy()
    stage.deploy(interpolator="film-l1")
    assert served(stage.storage, "film-l1").sagemaker_endpoint == stage.name
    with pytest.raises(EndpointError, match="No endpoint named 'film'"):
        served(stage.storage, "film")


def test_deploying_waits_and_tells_how_long(stage: Stage) -> None:
    stage.script.slow = 3
    stages: list[str] = []
    deploy(
        stage.storage,
        stage.settings(),
        told=lambda _: None,
        progress=lambda stage, *_: stages.append(stage),
        poll_seconds=0,
    )
    assert stages.count("endpoint creating") == 3
    assert stage.endpoint()["EndpointStatus"] == "InService"


def test_a_failed_endpoint_is_told_with_its_reason_and_replaced_by_the_next_deploy(stage: Stage) -> None:
    stage.script.failure = "The primary container did not pass the ping health check."
    with pytest.raises(EndpointError, match=r"did not pass the ping health check.*CloudWatch.*deploy again"):
        stage.deploy()
    assert stage.everything()["targets"] == []
    stage.script.failure = None
    assert f"deleted endpoint {stage.name}, which had failed" in stage.deploy()
    assert stage.endpoint()["EndpointStatus"] == "InService"
    assert stage.deploy() == []


def test_an_endpoint_that_failed_while_it_scaled_is_replaced_with_its_scaling(stage: Stage) -> None:
    stage.deploy()
    sagemaker_backends["123456789012"]["us-east-1"].endpoints[stage.name].endpoint_status = "Failed"
    told = stage.deploy()
    assert told.index(f"ended scaling of {stage.name}") < told.index(f"created endpoint {stage.name}")
    assert stage.deploy() == []


def test_a_failed_change_leaves_what_ran_and_its_scaling(stage: Stage) -> None:
    stage.deploy()
    before = stage.endpoint()["EndpointConfigName"]
    stage.script.failure = "No capacity."
    with pytest.raises(EndpointError, match=r"runs what it ran before: No capacity"):
        stage.deploy(package=package_of(stage.folder, "film-2-4567cdef"))
    assert stage.endpoint()["EndpointConfigName"] == before
    assert stage.model()["ModelName"]
    assert served(stage.storage, "film").model_id == "film-1-0123abcd"
    assert len(stage.everything()["policies"]) == 2
    stage.script.failure = None
    stage.deploy()
    assert len(stage.everything()["models"]) == 1


def test_deploying_waits_for_a_change_that_is_under_way(stage: Stage) -> None:
    stage.deploy()
    stage.script.slow = 2
    config = stage.endpoint()["EndpointConfigName"]
    stage.aws.application_autoscaling.deregister_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=stage.names.scalable,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )
    stage.aws.sagemaker.update_endpoint(EndpointName=stage.name, EndpointConfigName=config)
    stage.deploy(instance_type="ml.g4dn.xlarge")
    assert stage.config()["ProductionVariants"][0]["InstanceType"] == "ml.g4dn.xlarge"


def test_an_endpoint_that_never_settles_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.script.slow = 5
    with monkeypatch.context() as impatient:
        impatient.setattr("slowmo_pipeline.deployment.hosting.LONGEST_CHANGE_SECONDS", 0)
        with pytest.raises(EndpointError, match=r"is Creating since 0 minutes.*goes on waiting"):
            stage.deploy()


def test_the_whole_life_leaves_nothing_behind(stage: Stage) -> None:
    before = stage.everything()
    stage.deploy()
    stage.deploy()
    stage.deploy(package=package_of(stage.folder, "film-2-4567cdef"), kms_key="alias/slowmo")
    removed = stage.delete()
    assert stage.everything() == before
    assert [line.split()[1] for line in removed] == [
        *("scaling", "scaling", "alarm", "scaling", "endpoint", "endpoint", "model", "topic", "topic"),
        *(stage.storage.uri("endpoints/film.json"), removed[-1].split()[1]),
    ]


def test_what_costs_money_is_deleted_even_without_the_bucket(stage: Stage) -> None:
    stage.deploy()
    with pytest.raises(StorageError):
        stage.delete(storage=open_storage("s3://slowmo-nowhere/prefix"))
    left = stage.everything()
    assert [kind for kind, found in left.items() if found] == ["objects"]


def test_deleting_what_is_gone_is_harmless(stage: Stage) -> None:
    stage.deploy()
    stage.delete()
    assert stage.delete() == []


def test_deleting_waits_for_a_change_that_is_under_way(stage: Stage) -> None:
    stage.deploy()
    stage.script.slow = 3
    stage.aws.sagemaker.create_endpoint_config(
        EndpointConfigName=f"{stage.name}-0123abcd",
        ProductionVariants=stage.config()["ProductionVariants"],
        Tags=[stage.names.tag],
    )
    stage.aws.application_autoscaling.deregister_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=stage.names.scalable,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )
    stage.aws.sagemaker.update_endpoint(EndpointName=stage.name, EndpointConfigName=f"{stage.name}-0123abcd")
    assert f"deleted endpoint {stage.name}" in stage.delete()
    assert not any(stage.everything().values())


def test_deleting_leaves_what_others_made_under_similar_names(stage: Stage) -> None:
    untagged, unlike = f"{stage.name}-cafecafe", f"other-{stage.name}-cafecafe"
    for name, tags in ((untagged, []), (unlike, [stage.names.tag])):
        stage.aws.sagemaker.create_model(
            ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE, Tags=tags
        )
    write_served(stage.storage, "flow", EndpointRecord(model_id="flow-1", max_body_bytes=10**9))
    stage.deploy()
    stage.delete()
    assert {found["ModelName"] for found in stage.everything()["models"]} == {untagged, unlike}
    assert served(stage.storage, "flow") == EndpointRecord(model_id="flow-1", max_body_bytes=10**9)
    for name in (untagged, unlike):
        stage.aws.sagemaker.delete_model(ModelName=name)


def test_deployments_of_one_storage_have_a_package_each(stage: Stage) -> None:
    other = Stage(stage.storage, stage.folder, stage.script)
    other.name, other.names = f"{stage.name}-b", type(stage.names)(f"{stage.name}-b")
    stage.deploy()
    other.deploy(interpolator="film-b")
    stage.delete()
    assert other.deploy(interpolator="film-b") == []
    assert served(stage.storage, "film-b").sagemaker_endpoint == other.name
    other.delete()


def test_an_endpoint_that_somebody_else_made_is_left_alone(stage: Stage) -> None:
    stage.deploy()
    stage.aws.sagemaker.delete_tags(ResourceArn=stage.endpoint()["EndpointArn"], TagKeys=[stage.names.tag["Key"]])
    before = stage.everything()
    for action in (stage.deploy, stage.delete):
        with pytest.raises(EndpointError, match="did not make, and that is left alone"):
            action()
    assert stage.everything() == before
    stage.aws.sagemaker.add_tags(ResourceArn=stage.endpoint()["EndpointArn"], Tags=[stage.names.tag])


def test_a_topic_that_somebody_else_made_is_left_alone(stage: Stage) -> None:
    arn = stage.aws.sns.create_topic(Name=stage.names.topics[0])["TopicArn"]
    with pytest.raises(EndpointError, match="Give it as success_topic"):
        stage.deploy()
    stage.delete()
    assert stage.everything()["topics"] == [{"TopicArn": arn}]
    stage.aws.sns.delete_topic(TopicArn=arn)


def test_a_folder_cannot_be_reached_by_sagemaker(folder: Storage, stage: Stage) -> None:
    with pytest.raises(StorageError, match=r"set SLOWMO_STORAGE to s3://bucket/prefix"):
        stage.deploy(storage=folder)
    with pytest.raises(StorageError, match="cannot reach the folder"):
        stage.delete(storage=folder)


def test_only_a_package_is_deployed(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "other.tar.gz").write_bytes(b"no package")
    before = stage.everything()
    with pytest.raises(ModelError, match=r"other\.tar\.gz"):
        stage.deploy(package=tmp_path / "other.tar.gz")
    assert stage.everything() == before


def test_a_bucket_that_is_not_there_is_told(stage: Stage) -> None:
    with pytest.raises(StorageError, match=r"set SLOWMO_STORAGE to another one|cannot be used now"):
        stage.deploy(storage=open_storage("s3://slowmo-nowhere/prefix"))


def test_no_region_is_told(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(EndpointError, match="set AWS_DEFAULT_REGION"):
        stage.deploy()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_settings_of_a_stage_are_the_defaults(stage: Stage) -> None:
    given = parse_deployment({"package": stage.package, "role_arn": ROLE})
    changed = {name for name, value in stage.settings() if value != getattr(given, name)}
    assert changed == {"name", "image_uri"}
