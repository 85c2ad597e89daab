"""What moto's SageMaker lacks, added over its own models for the tests: everything in this file is ours, not moto's.

Endpoints take their time and may fail, can be updated, and are refused a second time under the same name; instance
types are not checked against moto's list, which ends before ml.g5. What is no longer scaled loses its scaling policies.
"""

import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import FakeEndpoint, FakeEndpointConfig, SageMakerModelBackend, sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse
from moto.sns.models import sns_backends

from slowmo_pipeline.deployment.aws import Aws
from slowmo_pipeline.deployment.delete import delete
from slowmo_pipeline.deployment.deploy import deploy
from slowmo_pipeline.deployment.names import Names
from slowmo_pipeline.deployment.settings import DeploymentSettings, parse_deployment
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline_tests.support.fault_proxy import FaultProxy


@dataclass
class Script:
    """How endpoints behave from now on."""

    slow: int = 0
    """How many times an endpoint is described before a change is done."""
    failure: str | None = None
    """Why every change fails."""
    _left: dict[str, int] = field(default_factory=dict)

    def begin(self, endpoint: FakeEndpoint, status: str) -> None:
        """Start a change of an endpoint."""
        endpoint.endpoint_status = status
        self._left[endpoint.endpoint_name] = self.slow

    def described(self, backend: SageMakerModelBackend, endpoint: FakeEndpoint) -> None:
        """Let time pass."""
        if endpoint.endpoint_status not in ("Creating", "Updating", "Deleting"):
            return
        self._left[endpoint.endpoint_name] -= 1
        if self._left[endpoint.endpoint_name] >= 0:
            return
        if endpoint.endpoint_status == "Deleting":
            del backend.endpoints[endpoint.endpoint_name]
        elif self.failure is None:
            _settle(backend, endpoint)
        else:
            endpoint.failure_reason = self.failure  # type: ignore[assignment]  # moto's own never fail
            # As SageMaker does: a failed update leaves what ran before.
            endpoint.endpoint_status = "Failed" if endpoint.endpoint_status == "Creating" else "InService"


@contextmanager
def scripted_sagemaker() -> Iterator[Script]:
    """Moto's servers in this process with what they lack."""
    script = Script()
    create_endpoint = SageMakerModelBackend.create_endpoint
    create_config = SageMakerModelBackend.create_endpoint_config
    create_model = SageMakerModelBackend.create_model
    describe = SageMakerModelBackend.describe_endpoint
    deregister_target = ApplicationAutoscalingBackend.deregister_scalable_target

    def refuse_twice(found: dict[str, Any], name: str) -> None:
        if name in found:
            raise ValidationError(message=f"Cannot create already existing {name}")

    def slow_create(self: SageMakerModelBackend, endpoint_name: str, *rest: Any, **named: Any) -> FakeEndpoint:
        refuse_twice(self.endpoints, endpoint_name)
        endpoint = create_endpoint(self, endpoint_name, *rest, **named)
        endpoint.wanted_config = endpoint.endpoint_config_name  # type: ignore[attr-defined]  # ours
        script.begin(endpoint, "Creating")
        return endpoint

    def create_config_once(self: SageMakerModelBackend, endpoint_config_name: str, **named: Any) -> FakeEndpointConfig:
        refuse_twice(self.endpoint_configs, endpoint_config_name)
        return create_config(self, endpoint_config_name, **named)

    def create_model_once(self: SageMakerModelBackend, model_name: str, **named: Any) -> Any:
        refuse_twice(self._models, model_name)
        return create_model(self, model_name, **named)

    def describe_later(self: SageMakerModelBackend, endpoint_name: str) -> dict[str, Any]:
        if endpoint_name in self.endpoints:
            script.described(self, self.endpoints[endpoint_name])
        found = describe(self, endpoint_name)
        found.pop("WantedConfig", None)
        return found

    def slow_delete(self: SageMakerModelBackend, endpoint_name: str) -> None:
        describe(self, endpoint_name)
        endpoint = self.endpoints[endpoint_name]
        if endpoint.endpoint_status in ("Creating", "Updating", "Deleting"):
            raise ValidationError(message=f"Cannot delete endpoint {endpoint_name}: it is {endpoint.endpoint_status}")
        script.begin(endpoint, "Deleting")

    def deregister(self: ApplicationAutoscalingBackend, namespace: str, r_id: str, dimension: str) -> None:
        deregister_target(self, namespace, r_id, dimension)
        for key in [key for key, policy in self.policies.items() if policy.resource_id == r_id]:
            del self.policies[key]

    def update_endpoint(self: SageMakerResponse) -> ActionResult:
        return ActionResult({"EndpointArn": _update(self, script)})

    with (
        patch.object(FakeEndpointConfig, "validate_instance_type", lambda *_: None),
        patch.multiple(
            SageMakerModelBackend,
            create_endpoint=slow_create,
            create_endpoint_config=create_config_once,
            create_model=create_model_once,
            describe_endpoint=describe_later,
            delete_endpoint=slow_delete,
        ),
        patch.object(SageMakerResponse, "update_endpoint", update_endpoint, create=True),
        patch.object(ApplicationAutoscalingBackend, "deregister_scalable_target", deregister),
    ):
        yield script


def _update(request: SageMakerResponse, script: Script) -> str:
    """UpdateEndpoint, with the refusals of SageMaker's that matter to a deployment."""
    backend: SageMakerModelBackend = request.sagemaker_backend
    name, config = request._get_param("EndpointName"), request._get_param("EndpointConfigName")
    backend.describe_endpoint_config(config)
    endpoint = backend.endpoints[name]
    if endpoint.endpoint_status != "InService":
        raise ValidationError(message=f"Cannot update in-progress endpoint {name}")
    scaling = applicationautoscaling_backends[request.current_account][request.region].targets
    if any(f"endpoint/{name}/variant/AllTraffic" in targets for targets in scaling.values()):
        raise ValidationError(message=f"The variant(s) AllTraffic of {name} are registered for auto scaling")
    endpoint.wanted_config = config  # type: ignore[attr-defined]  # ours
    if not request._get_param("RetainAllVariantProperties"):
        for variant in endpoint.production_variants:
            variant["CurrentInstanceCount"] = variant["DesiredInstanceCount"] = 1
    script.begin(endpoint, "Updating")
    return endpoint.arn


def _settle(backend: SageMakerModelBackend, endpoint: FakeEndpoint) -> None:
    endpoint.endpoint_config_name = endpoint.wanted_config  # type: ignore[attr-defined]  # ours
    endpoint.endpoint_status = "InService"


ROLE = "arn:aws:iam::123456789012:role/slowmo-endpoint"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slowmo-film:1"
TOPIC = "arn:aws:sns:us-east-1:123456789012:operators"


def package_of(folder: Path, model_id: str) -> Path:
    """The beginning of a model.tar.gz, which is all that deploying reads of one."""
    properties = f"engine=Python\noption.film_model_id={model_id}\n".encode()
    path = folder / f"{model_id}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("serving.properties")
        member.size = len(properties)
        tar.addfile(member, io.BytesIO(properties))
    return path


class Stage:
    """A deployment of a name of its own, at moto's services and in a storage."""

    def __init__(self, storage: Storage, folder: Path, script: Script) -> None:
        self.storage = storage
        self.folder = folder
        self.script = script
        self.name = f"slowmo-{storage.url[-12:]}"
        self.names = Names(self.name)
        self.aws = Aws()
        self.package = package_of(folder, "film-1-0123abcd")
        self._others = self._held()

    def settings(self, **changes: Any) -> DeploymentSettings:
        """Settings with only the image and what must be given, but for the changes."""
        given = {"name": self.name, "package": self.package, "role_arn": ROLE, "image_uri": IMAGE}
        return parse_deployment({**given, **changes})

    def deploy(self, *, storage: Storage | None = None, **changes: Any) -> list[str]:
        """Deploy; return what was told."""
        told: list[str] = []
        settings = self.settings(**changes)
        deploy(storage or self.storage, settings, told=told.append, progress=unseen, poll_seconds=0)
        return told

    def delete(self, *, storage: Storage | None = None) -> list[str]:
        """Delete; return what was told."""
        told: list[str] = []
        delete(storage or self.storage, self.name, told=told.append, progress=unseen, poll_seconds=0)
        return told

    def endpoint(self) -> dict[str, Any]:
        """What SageMaker says of the endpoint."""
        return dict(self.aws.sagemaker.describe_endpoint(EndpointName=self.name))

    def config(self) -> dict[str, Any]:
        """What SageMaker says of the configuration that the endpoint runs."""
        return dict(
            self.aws.sagemaker.describe_endpoint_config(EndpointConfigName=self.endpoint()["EndpointConfigName"])
        )

    def model(self) -> dict[str, Any]:
        """What SageMaker says of the model that the endpoint runs."""
        name = self.config()["ProductionVariants"][0]["ModelName"]
        return dict(self.aws.sagemaker.describe_model(ModelName=name))

    def everything(self) -> dict[str, list[Any]]:
        """All that the services hold beyond what they did when the stage was set, but for what differs by chance.

        Moto's services are those of the whole process: other tests leave things there, which must stay.
        """
        held = self._held()
        assert all(thing in held[kind] for kind, things in self._others.items() for thing in things)
        return {kind: [thing for thing in things if thing not in self._others[kind]] for kind, things in held.items()}

    def _held(self) -> dict[str, list[Any]]:
        sagemaker, scaling = self.aws.sagemaker, self.aws.application_autoscaling
        found: dict[str, list[Any]] = {
            "models": [
                sagemaker.describe_model(ModelName=model["ModelName"]) for model in sagemaker.list_models()["Models"]
            ],
            "configs": [
                sagemaker.describe_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
                for config in sagemaker.list_endpoint_configs()["EndpointConfigs"]
            ],
            "endpoints": [
                sagemaker.describe_endpoint(EndpointName=endpoint["EndpointName"])
                for endpoint in sagemaker.list_endpoints()["Endpoints"]
            ],
            "targets": list(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]),
            "policies": list(scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]),
            "alarms": list(self.aws.cloudwatch.describe_alarms()["MetricAlarms"]),
            "topics": list(self.aws.sns.list_topics()["Topics"]),
            "objects": [
                # When it was created stands in the record, and differs from one deploy to the next.
                (entry.key, re.sub(rb'"deployed_at":\s*[0-9.]+', b"", self.storage.read(entry.key)))
                for prefix in ("models/", "endpoints/")
                for entry in self.storage.list(prefix)
            ],
        }
        return {kind: sorted(map(_steady, values), key=repr) for kind, values in found.items()}


def _steady(value: Any) -> Any:
    """Without times, answers' metadata, and the random part of ARNs."""
    if isinstance(value, dict):
        return {
            key: _steady(item)
            for key, item in value.items()
            if not isinstance(item, datetime) and key not in ("ResponseMetadata", "ScalableTargetARN", "StateReason")
        }
    if isinstance(value, list):
        return list(map(_steady, value))
    return (
        re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:resource", "…:resource", value)
        if isinstance(value, str)
        else value
    )


def unseen(stage: str, done: int, total: int, unit: str) -> None:
    """Progress that nobody is shown."""


@contextmanager
def deployment_stage(server: str, storage_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage at one of moto's servers in this process, whose services hold nothing yet but buckets."""
    for backends in (sagemaker_backends, applicationautoscaling_backends, cloudwatch_backends, sns_backends):
        backends["123456789012"].reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    with scripted_sagemaker() as script:
        yield Stage(open_storage(storage_url), folder, script)


@contextmanager
def stage_behind(proxy: FaultProxy, storage_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The same behind a proxy that may break it."""
    with deployment_stage(proxy.url, storage_url, folder, monkeypatch) as stage:
        yield stage
