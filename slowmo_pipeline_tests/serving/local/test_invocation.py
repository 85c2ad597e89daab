from pathlib import Path

import pytest

from slowmo_pipeline.serving.local.invocation import ValidationError, parse_invocation
from slowmo_pipeline.serving.local.request_queue import Request
from slowmo_pipeline.storage.base import Storage
from slowmo_pipeline.storage.opening import open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "storage"))


def parse(storage: Storage, **headers: str) -> Request:
    given = {"inputlocation": storage.uri("chunks/0.tar"), **headers}
    return parse_invocation("flow", {f"x-amzn-sagemaker-{k.replace('_', '-')}": v for k, v in given.items()}, storage)


def test_defaults_are_sagemakers(storage: Storage) -> None:
    request = parse(storage)

    assert request.input_key == "chunks/0.tar"
    assert (request.ttl_seconds, request.timeout_seconds) == (21_600, 900)
    assert request.result_key.endswith(".out")
    assert request.failure_key.startswith("failures/")


def test_failure_has_a_name_of_its_own(storage: Storage) -> None:
    one, other = (parse(storage, inference_id="clip-0-1") for _ in range(2))

    assert one.inference_id == other.inference_id == "clip-0-1"
    assert one.failure_key != other.failure_key
    assert "clip-0-1" not in one.failure_key


@pytest.mark.parametrize("extension", ["videos/x/results", "/videos/x/results/"])
def test_result_key_is_path_extension_and_filename(storage: Storage, extension: str) -> None:
    request = parse(storage, s3outputpathextension=extension, filename="00000.tar")

    assert request.result_key == "videos/x/results/00000.tar"


@pytest.mark.parametrize(
    "headers",
    [
        {"inputlocation": ""},
        {"inputlocation": "s3://bucket/" + "k" * 1024},
        {"inputlocation": "s3://bucket/key"},
        {"inputlocation": "file:///etc/passwd"},
        {"inference_id": ""},
        {"inference_id": "i" * 65},
        {"s3outputpathextension": "a b"},
        {"s3outputpathextension": "s3://bucket"},
        {"s3outputpathextension": "e" * 513},
        {"s3outputpathextension": "a/../../b"},
        {"s3outputpathextension": "a//b"},
        {"s3outputpathextension": "/"},
        {"filename": "a/b"},
        {"filename": ".tar"},
        {"filename": "a.tar.gz"},
        {"filename": "f" * 33},
        {"requestttlseconds": "59"},
        {"requestttlseconds": "21601"},
        {"requestttlseconds": "1e3"},
        {"invocationtimeoutseconds": "0"},
        {"invocationtimeoutseconds": "3601"},
        {"content_type": "x" * 1025},
        {"custom_attributes": "ü"},
    ],
)
def test_what_sagemaker_refuses_is_refused(storage: Storage, headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        parse(storage, **headers)


@pytest.mark.parametrize("key", ["../outside", "chunks/../../outside", "", "chunks//0.tar", "./0.tar"])
def test_inputs_outside_the_storage_are_refused(storage: Storage, key: str) -> None:
    with pytest.raises(ValidationError):
        parse(storage, inputlocation=f"{storage.url}/{key}")


def test_folder_beside_the_storage_with_its_name_in_front_is_outside(storage: Storage) -> None:
    with pytest.raises(ValidationError, match="does not lie below"):
        parse(storage, inputlocation=f"{storage.url}-other/key")
