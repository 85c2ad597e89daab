"""A deploy, a change and a delete that AWS refuses at each call in turn: what is left is completed, or goes.

What a refusal, a crash or a kill leaves behind differs only by the calls that change something: those are refused one
after another. Those that only look are refused where nothing is to be changed.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest

from slowmo_pipeline.deployment.aws import Aws, errors_as_endpoint_error
from slowmo_pipeline.deployment.scaling import ensure_scaling, remove_scaling
from slowmo_pipeline.deployment.unscaled import unscaled
from slowmo_pipeline.errors import EndpointError, EndpointUnreachableError, SlowmoError, StorageError
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage
from slowmo_pipeline.storage.patience import AWS_REQUEST
from slowmo_pipeline_tests.support.sagemaker_server import TOPIC, Stage, deployment_stage, package_of


@pytest.fixture
def stage(s3_server: str, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session())  # keeps the hooks below to itself
    with deployment_stage(s3_server, s3_url, tmp_path, monkeypatch) as stage:
        yield stage


LOOKS = re.compile(r"(Describe|List|Get|Head)\w*")
"""Calls that change nothing."""


class Refusal:
    """Refuses one of the calls that change something, or of those that do not, and all that come after it."""

    def __init__(self, number: int, *, looks: bool) -> None:
        self._number = number
        self._looks = looks
        self._calls = 0
        self.refused: str | None = None
        """The first call that was refused."""

    def due(self, call: str) -> bool:
        if self.refused is None and (LOOKS.fullmatch(call) is not None) == self._looks:
            self._calls += 1
            if self._calls == self._number:
                self.refused = call
        return self.refused is not None

    def of_boto3(self, model: Any, **_: Any) -> tuple[Any, Any] | None:
        if not self.due(model.name):
            return None
        message = f"User is not authorized to perform {model.name}"
        answer = {"Error": {"Code": "AccessDeniedException", "Message": message}, "ResponseMetadata": {}}
        return SimpleNamespace(status_code=403), answer


@contextmanager
def refused(stage: Stage, refusal: Refusal) -> Iterator[Storage]:
    """Refuse calls to AWS; yields the storage to use."""
    with answered_by(refusal.of_boto3):
        yield open_storage(stage.storage.url)


@contextmanager
def answered_by(answer: Any) -> Iterator[None]:
    """Let a function answer the calls of clients made from now on, where it does."""
    events = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]  # the fixture sets it
    events.register("before-call", answer)
    try:
        yield
    finally:
        events.unregister("before-call", answer)


def refusals(stage: Stage, action: Callable[[Storage], object], *, looks: bool = False, at_least: int) -> Iterator[str]:
    """Do something again and again, refused at the first call, at the second, ... until nothing was refused.

    Yields which call was refused after each time.
    """
    for number in itertools.count(1):
        refusal = Refusal(number, looks=looks)
        with refused(stage, refusal) as storage:
            told = _told_of(action, storage)
        if refusal.refused is None:
            assert told is None
            assert number > at_least
            return
        # What a HEAD was refused for, S3 is asked by a listing.
        assert refusal.refused.replace("HeadObject", "ListObjectsV2") in (told or "")
        yield refusal.refused


def _told_of(action: Callable[[Storage], object], storage: Storage) -> str | None:
    try:
        action(storage)
    except (EndpointError, StorageError) as error:
        return str(error)
    return None


def test_a_deploy_refused_anywhere_is_completed_by_the_next(stage: Stage) -> None:
    stage.deploy()
    whole = stage.everything()
    stage.delete()
    for call in refusals(stage, lambda storage: stage.deploy(storage=storage), at_least=11):
        stage.deploy()
        assert stage.everything() == whole, call
        stage.delete()


def test_a_deploy_refused_anywhere_is_removed_by_delete(stage: Stage) -> None:
    before = stage.everything()
    for call in refusals(stage, lambda storage: stage.deploy(storage=storage), at_least=11):
        stage.delete()
        assert stage.everything() == before, call


@pytest.mark.slow
def test_a_change_refused_anywhere_is_completed_by_the_next(stage: Stage) -> None:
    change: dict[str, Any] = {
        "package": package_of(stage.folder, "film-2-4567cdef"),
        "success_topic": TOPIC,
        "interpolator": "film-l1",
    }
    stage.deploy(**change)
    whole = stage.everything()
    stage.deploy()
    for call in refusals(stage, lambda storage: stage.deploy(storage=storage, **change), at_least=18):
        stage.deploy(**change)
        assert stage.everything() == whole, call
        stage.deploy()


def test_a_delete_refused_anywhere_is_completed_by_the_next(stage: Stage) -> None:
    before = stage.everything()
    stage.deploy()
    for call in refusals(stage, lambda storage: stage.delete(storage=storage), at_least=11):
        stage.delete()
        assert stage.everything() == before, call
        stage.deploy()


def change_scaling(stage: Stage, *, made: bool) -> None:
    """Make or remove the scaling alone."""
    told: list[str] = []
    with errors_as_endpoint_error():
        if made:
            ensure_scaling(Aws(), stage.names, stage.settings(), told.append)
        else:
            remove_scaling(Aws(), stage.names, told.append)


@pytest.mark.parametrize("made", [True, False], ids=["made", "removed"])
def test_half_a_scaling_is_never_taken_for_the_whole(stage: Stage, made: bool) -> None:
    stage.deploy()
    whole = stage.everything()
    change_scaling(stage, made=not made)
    for call in refusals(stage, lambda _: change_scaling(stage, made=made), at_least=4):
        assert (unscaled(Aws(), stage.names) is None) == (stage.everything() == whole), call
        change_scaling(stage, made=not made)


def test_refused_looks_change_nothing(stage: Stage) -> None:
    stage.deploy()
    whole = stage.everything()
    calls = list(refusals(stage, lambda storage: stage.deploy(storage=storage), looks=True, at_least=15))
    assert {
        "DescribeEndpoint",
        "ListTags",
        "GetCallerIdentity",
        "DescribeAlarms",
        "HeadObject",
        "GetObject",
        "ListObjectsV2",
    } <= set(calls)
    assert stage.everything() == whole


def test_an_endpoint_always_scales_once_a_deploy_is_over(stage: Stage) -> None:
    """An endpoint without scaling would cost for ever: only a deploy cut off in its midst leaves one."""
    stage.deploy()
    stage.script.failure = "No capacity."
    with pytest.raises(EndpointError):
        stage.deploy(instance_type="ml.g4dn.xlarge")
    assert len(stage.everything()["targets"]) == 1
    stage.script.failure = None


def _told(code: str, message: str) -> str:
    """What people are told for an error of AWS."""
    refusal = SimpleNamespace(status_code=400), {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}
    with answered_by(lambda **_: refusal), pytest.raises(SlowmoError) as caught, errors_as_endpoint_error():
        Aws().sagemaker.list_models()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "next_step"),
    [
        ("AccessDeniedException", "the deployer's policy of deploy/cloudformation.yaml"),
        ("AuthorizationError", "the deployer's policy of deploy/cloudformation.yaml"),
        ("ExpiredTokenException", "sign in again"),
        ("ValidationException", "Correct what it names and run the same command again"),
        ("ResourceLimitExceeded", "run the same command again"),
    ],
)
def test_what_aws_refuses_is_one_sentence_with_the_next_step(code: str, next_step: str, stage: Stage) -> None:
    told = _told(code, "So it is.")
    assert "ListModels" in told
    assert next_step in told
    assert ".." not in told


def test_missing_credentials_are_told(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as nobody:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            nobody.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            nobody.setenv(name, str(tmp_path / "nowhere"))
        nobody.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=botocore.session.Session()))
        with pytest.raises(EndpointError, match=r"no AWS credentials.*set AWS_PROFILE or run `aws configure`"):
            stage.deploy()


def test_nobody_at_the_address_of_aws_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AWS_REQUEST, "retries", {"mode": "standard", "total_max_attempts": 2})
    with monkeypatch.context() as unplugged:
        unplugged.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
        with pytest.raises(EndpointUnreachableError, match="AWS's services cannot be reached"):
            stage.deploy()
