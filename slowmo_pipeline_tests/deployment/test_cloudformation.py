"""deploy/cloudformation.yaml: it lints, it deploys, and its roles may do what the code does and nothing else."""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.authorization import enable_iam_authentication

from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.settings import DEFAULT_NAME, DeploymentSettings
from slowmo_pipeline.storage.keys import VideoKeys, endpoint_key
from slowmo_pipeline_tests.support.called_actions import needed_actions
from slowmo_pipeline_tests.support.local_server import eventually
from slowmo_pipeline_tests.support.pipeline import NOT_WAITING, fade_pipeline
from slowmo_pipeline_tests.support.places import REPOSITORY

TEMPLATE = (REPOSITORY / "deploy" / "cloudformation.yaml").read_text()
ACCOUNT = "us-east-1:123456789012"
KEY_ARN = f"arn:aws:kms:{ACCOUNT}:key/1234abcd"
PLAN = VideoKeys("clip-1").plan("p")
RESULTS = PLAN.model("film-1")

# moto cannot make bucket and topic policies and subscriptions from templates, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS")


@dataclass(frozen=True)
class Stack:
    """The template, deployed to moto."""

    address: str
    name: str
    outputs: dict[str, str]
    resources: dict[str, str]
    """Physical by logical id."""

    def client(self, service: str) -> Any:
        return _client(service, self.address)

    def statements(self, policy: str) -> list[dict[str, Any]]:
        iam, arn = self.client("iam"), self.resources[policy]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return list(document["Statement"])

    def permits(self, policy: str, action: str, arn: str) -> bool:
        """Whether the action is allowed on that resource; conditions aside."""
        return any(
            action in _list(statement["Action"])
            and any(fnmatchcase(arn, pattern) for pattern in _list(statement["Resource"]))
            for statement in self.statements(policy)
        )

    def allows(self, policy: str, action: str, key: str) -> bool:
        """Whether the action is allowed on the object of that key."""
        return self.permits(policy, action, self.outputs["Storage"].replace("s3://", "arn:aws:s3:::") + "/" + key)

    def actions(self, policy: str) -> set[str]:
        return {action for statement in self.statements(policy) for action in _list(statement["Action"])}


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _client(service: str, address: str) -> Any:
    any_client: Any = boto3.client  # boto3-stubs knows only names of services that stand in the call
    return any_client(
        service, endpoint_url=address, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )


def _deployed(address: str, **parameters: str) -> Stack:
    cloudformation, name = _client("cloudformation", address), f"stack-{uuid.uuid4().hex[:8]}"
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=TEMPLATE,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    resources = cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    return Stack(
        address=address,
        name=name,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        resources={resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
    )


@pytest.fixture(scope="module")
def stack(s3_server: str) -> Stack:
    return _deployed(s3_server)


@pytest.fixture(scope="module")
def stack_with_key(s3_server: str) -> Stack:
    return _deployed(s3_server, KmsKeyArn=KEY_ARN)


# ---------------------------------------------------------------------------------------------------- the template


@pytest.fixture(scope="module")
def template() -> Any:
    # Here, since it imports networkx and sympy: three seconds for each process that collects these tests.
    from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]  # cfn-lint publishes no types

    return cfn_yaml.loads(TEMPLATE)


def test_cfn_lint_finds_nothing_and_is_told_to_ignore_nothing() -> None:
    from cfnlint.api import lint  # type: ignore[import-untyped]  # likewise

    assert lint(TEMPLATE) == []
    assert "cfn-lint" not in TEMPLATE
    assert not list(REPOSITORY.glob(".cfnlintrc*"))


def test_every_action_says_why() -> None:
    actions = [line for line in TEMPLATE.splitlines() if re.match(r"\s*(- |Action: )[a-z0-9-]+:[A-Z*]", line)]

    assert len(actions) > 30
    assert [line for line in actions if not re.search(r"[a-zA-Z*]  # \w", line)] == []


def test_nothing_in_the_bucket_is_public_or_travels_in_the_clear(template: Any) -> None:
    # moto skips bucket policies and public access blocks in templates.
    resources = template["Resources"]
    [statement] = resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert set(resources["Bucket"]["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("key", "size", "days"),
    [
        (PLAN.chunk(0), 13_000_000, "WorkDays"),
        (RESULTS.result(0), 38_000_000, "WorkDays"),
        ("failures/0d9f-error.out", 300, 7),
        (VideoKeys("clip-1").source, 900, None),
        (VideoKeys("clip-1").pending, 200, None),
        (RESULTS.receipt(0), 500, None),
        ("uploads/clip.mp4", 10**9, None),
        (VideoKeys("clip-1").final(".mp4"), 10**9, None),
        ("models/slowmo-film/0123/model.tar.gz", 10**9, None),
    ],
)
def test_what_can_be_made_again_expires(key: str, size: int, days: object, template: Any) -> None:
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    expiring = [
        rule["ExpirationInDays"]
        for rule in rules
        if "ExpirationInDays" in rule
        and f"slowmo/{key}".startswith(rule["Prefix"]["Fn::Sub"].replace("${Prefix}", "slowmo"))
        and size > int(rule.get("ObjectSizeGreaterThan", -1))
    ]

    assert expiring == ([] if days is None else [{"Ref": days} if isinstance(days, str) else days])


def test_the_readme_tells_of_every_parameter_and_output(template: Any) -> None:
    readme = (REPOSITORY / "deploy" / "README.md").read_text()

    assert [name for name in (*template["Parameters"], *template["Outputs"]) if f"`{name}`" not in readme] == []


# ---------------------------------------------------------------------------------------------------- the stack


def test_outputs_are_what_the_pipeline_and_the_deployment_read(stack: Stack) -> None:
    made = stack.resources
    role = "arn:aws:iam::123456789012:role/"

    assert stack.outputs == {
        "DeploymentName": DEFAULT_NAME,
        "Storage": f"s3://{made['Bucket']}/slowmo",
        "Region": "us-east-1",
        "EndpointRoleArn": role + made["EndpointRole"],
        "SuccessTopicArn": made["SuccessTopic"],
        "ErrorTopicArn": made["ErrorTopic"],
        "OperatorTopicArn": made["OperatorTopic"],
        "PipelineRoleArn": role + made["PipelineRole"],
        "PipelinePolicyArn": made["PipelinePolicy"],
        "DeployerPolicyArn": made["DeployerPolicy"],
    }


def test_outputs_are_settings_that_a_deployment_takes(stack_with_key: Stack) -> None:
    outputs = stack_with_key.outputs
    settings = DeploymentSettings(
        package=Path("model.tar.gz"),
        name=outputs["DeploymentName"],
        role_arn=outputs["EndpointRoleArn"],
        success_topic=outputs["SuccessTopicArn"],
        error_topic=outputs["ErrorTopicArn"],
        kms_key=outputs["KmsKeyArn"],
    )

    named = re.findall(r"slowmo endpoint deploy --([a-z-]+)", TEMPLATE)

    assert settings.kms_key == KEY_ARN
    assert len(named) == 5
    assert {name.replace("-", "_") for name in named} <= DeploymentSettings.model_fields.keys()


def test_a_key_encrypts_bucket_and_topics(stack_with_key: Stack) -> None:
    stack = stack_with_key
    encryption = stack.client("s3").get_bucket_encryption(Bucket=stack.resources["Bucket"])
    [rule] = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    topics = [stack.resources[name] for name in ("SuccessTopic", "ErrorTopic", "OperatorTopic")]

    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN}
    assert [
        stack.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"] for topic in topics
    ] == [KEY_ARN] * 3
    assert stack.actions("KeyPolicy") == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert stack.actions("VolumeKeyPolicy") == {"kms:CreateGrant"}


# ---------------------------------------------------------------------------------------------------- the roles


@pytest.mark.parametrize(
    ("policy", "action", "key", "allowed"),
    [
        ("EndpointPolicy", "s3:GetObject", PLAN.chunk(0), True),
        ("EndpointPolicy", "s3:GetObject", "models/slowmo-film/0123/model.tar.gz", True),
        ("EndpointPolicy", "s3:GetObject", "uploads/clip.mp4", False),
        ("EndpointPolicy", "s3:PutObject", RESULTS.result(0), True),
        ("EndpointPolicy", "s3:PutObject", "failures/0d9f-error.out", True),
        ("EndpointPolicy", "s3:PutObject", VideoKeys("clip-1").source, False),
        ("EndpointPolicy", "s3:PutObject", "models/slowmo-film/0123/model.tar.gz", False),
        ("PipelinePolicy", "s3:PutObject", "uploads/clip.mp4", True),
        ("PipelinePolicy", "s3:PutObject", "models/slowmo-film/0123/model.tar.gz", False),
        ("PipelinePolicy", "s3:DeleteObject", RESULTS.result(0), True),
        ("PipelinePolicy", "s3:DeleteObject", VideoKeys("clip-1").final(".mp4"), True),
        ("PipelinePolicy", "s3:DeleteObject", VideoKeys("clip-1").pending, True),
        ("PipelinePolicy", "s3:DeleteObject", "failures/0d9f-error.out", True),
        ("PipelinePolicy", "s3:DeleteObject", "uploads/clip.mp4", False),
        ("DeployerPolicy", "s3:PutObject", "models/slowmo-film/0123/model.tar.gz", True),
        ("DeployerPolicy", "s3:PutObject", endpoint_key("film"), True),
        ("DeployerPolicy", "s3:DeleteObject", endpoint_key("film"), True),
        ("DeployerPolicy", "s3:GetObject", VideoKeys("clip-1").pending, True),
        ("DeployerPolicy", "s3:GetObject", VideoKeys("clip-1").current, True),
        ("DeployerPolicy", "s3:GetObject", RESULTS.receipt(0), True),
        ("DeployerPolicy", "s3:GetObject", RESULTS.result(0), False),
        ("DeployerPolicy", "s3:GetObject", "uploads/clip.mp4", False),
    ],
)
def test_objects_are_open_to_who_needs_them(stack: Stack, policy: str, action: str, key: str, allowed: bool) -> None:
    assert stack.allows(policy, action, key) is allowed


@pytest.fixture
def as_pipeline(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials of the pipeline's role, and a moto that holds everybody to their policies."""
    role = stack.resources["PipelineRole"]
    # moto asks for the permission to delete several objects on the bucket, S3 on each of them.
    on_bucket = {
        "Effect": "Allow",
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::{stack.resources['Bucket']}",
    }
    stack.client("iam").put_role_policy(
        RoleName=role,
        PolicyName="moto",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [on_bucket]}),
    )
    answer = stack.client("sts").assume_role(RoleArn=stack.outputs["PipelineRoleArn"], RoleSessionName="pipeline")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials that a test before had
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.address)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", answer["Credentials"]["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", answer["Credentials"]["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", answer["Credentials"]["SessionToken"])
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with enable_iam_authentication():
        yield


@pytest.mark.usefixtures("as_pipeline")
def test_a_video_is_made_with_the_rights_of_the_pipelines_role(stack: Stack, tmp_path: Path) -> None:
    with fade_pipeline(tmp_path, storage_url=stack.outputs["Storage"]) as pipeline:
        video_id = pipeline.drop("clip.mp4")
        submitted = pipeline.run(video_id, config=NOT_WAITING)
        assert submitted.success
        stored = pipeline.storage.list
        eventually(lambda: any("/results/" in entry.key for entry in stored(VideoKeys(video_id).prefix)))
        finished = pipeline.run(video_id, job="finish_video", config=NOT_WAITING)

        assert finished.success
        assert pipeline.storage.stat(VideoKeys(video_id).final(".mp4"))


# ---------------------------------------------------------------------------------------- the code and the policies

IMPLIED_FOR_DEPLOYER = {
    "iam:PassRole": "CreateModel names a role",
    "iam:CreateServiceLinkedRole": "the first RegisterScalableTarget for an endpoint makes Auto Scaling's role",
    "sagemaker:AddTags": "models, endpoint configurations and endpoints are made with tags",
    "sagemaker:UpdateEndpointWeightsAndCapacities": "Application Auto Scaling asks for it on its caller's behalf",
    "application-autoscaling:TagResource": "RegisterScalableTarget with tags",
    "cloudwatch:TagResource": "PutMetricAlarm with tags",
    "sns:TagResource": "CreateTopic with tags",
}
"""What AWS asks for without a call of its own."""


def test_the_pipeline_may_do_what_the_code_calls_and_nothing_else(stack: Stack) -> None:
    assert stack.actions("PipelinePolicy") == needed_actions(deployment=False)


def test_who_deploys_may_do_what_the_code_calls_and_nothing_else(stack: Stack) -> None:
    needed = needed_actions(deployment=True)

    assert needed & IMPLIED_FOR_DEPLOYER.keys() == set()
    assert stack.actions("DeployerPolicy") == needed | IMPLIED_FOR_DEPLOYER.keys()


def test_policies_fit_the_names_that_a_deployment_gives(stack: Stack) -> None:
    names = Names(stack.outputs["DeploymentName"])
    version = names.version({})
    wanted = [
        ("sagemaker:CreateModel", f"sagemaker:{ACCOUNT}:model/{version}"),
        ("sagemaker:CreateEndpointConfig", f"sagemaker:{ACCOUNT}:endpoint-config/{version}"),
        ("sagemaker:CreateEndpoint", f"sagemaker:{ACCOUNT}:endpoint/{names.endpoint}"),
        ("cloudwatch:PutMetricAlarm", f"cloudwatch:{ACCOUNT}:alarm:{names.wake_alarm}"),
        ("cloudwatch:PutMetricAlarm", f"cloudwatch:{ACCOUNT}:alarm:TargetTracking-{names.scalable}-AlarmHigh-0123"),
        *(("sns:CreateTopic", f"sns:{ACCOUNT}:{topic}") for topic in names.topics),
    ]

    assert [arn for action, arn in wanted if not stack.permits("DeployerPolicy", action, f"arn:aws:{arn}")] == []
    assert stack.permits("PipelinePolicy", "sagemaker:InvokeEndpointAsync", f"arn:aws:{wanted[2][1]}")
    assert stack.allows("DeployerPolicy", "s3:PutObject", names.package("0123"))
    assert stack.allows("EndpointPolicy", "s3:GetObject", names.package("0123"))
