"""Which permissions of AWS the package's calls need, read off its source and botocore's models of the services."""

import ast
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

import slowmo_pipeline

_PACKAGE = Path(slowmo_pipeline.__file__).parent

_TRANSFERS = {"s3:PutObject", "s3:AbortMultipartUpload"}
"""What s3transfer's TransferManager needs for uploads: it calls the client by itself."""

_RENAMED = {
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
}
"""Operations whose permission has another name."""

_SHARED = {Path("storage", "s3.py"), Path("endpoint", "sagemaker.py"), Path("deployment", "unscaled.py")}
"""What both deploying and everything else go through."""

_FREE = {"sts:GetCallerIdentity"}
"""What everybody may call, even when a policy denies it."""


def needed_actions(*, deployment: bool) -> set[str]:
    """The IAM actions that deploying needs, or those that everything else needs."""
    return set[str]().union(
        *(
            _actions_of(tree)
            for module, tree in _modules().items()
            if _is_of_deployment(module) is deployment or module in _SHARED
        )
    )


def _is_of_deployment(module: Path) -> bool:
    return module.parts[0] == "deployment" or module in (Path("cli/endpoint.py"), Path("defs/deployment_jobs.py"))


def _actions_of(tree: ast.Module) -> set[str]:
    """Told by the names of methods alone, called or only mentioned, as attributes or as strings.

    So nothing is missed for being called in a roundabout way (`get_paginator("list_models")`). A name that several
    services share, or that is an ordinary word, must be used on something that names the service: `aws.sns.publish`.
    """
    actions = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name, used_on = node.attr, ast.unparse(node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name, used_on = node.value, ""
        elif isinstance(node, ast.Name) and node.id == "TransferManager":
            actions |= _TRANSFERS
            continue
        else:
            continue
        if used_on == "deployment_jobs":
            continue  # Dagster's jobs, called as what they do
        by_service = _operations().get(name, {})
        meant = [service for service in by_service if service.rpartition("-")[2] in used_on]
        if not meant and "_" in name:
            meant = list(by_service)
        assert len(meant) < 2, f"{used_on}.{name} may be of {meant}: name the client after its service."
        actions |= {by_service[service] for service in meant}
    return actions - _FREE


@cache
def _operations() -> dict[str, dict[str, str]]:
    """For each method of the clients that the package makes, waiters included: the action by service."""
    session = botocore.session.get_session()
    with_waiters = session.get_component("data_loader").list_available_services("waiters-2")
    found: dict[str, dict[str, str]] = {}
    for service in _services():
        model = session.get_service_model(service)
        methods = {xform_name(name): name for name in model.operation_names}
        if service in with_waiters:
            waiters = session.get_waiter_model(service)
            methods |= {xform_name(name): waiters.get_waiter(name).operation for name in waiters.waiter_names}
        # CloudWatch signs as "monitoring", as it was once called; the others sign as their actions begin.
        prefix = "cloudwatch" if service == "cloudwatch" else model.signing_name
        for method, operation in methods.items():
            action = f"{prefix}:{operation}"
            found.setdefault(method, {})[service] = _RENAMED.get(action, action)
    return found


def _services() -> set[str]:
    """The services that clients are made for; each stands in the call that makes one."""
    calls = [node for tree in _modules().values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "aws_client"]
    return {ast.literal_eval(call.args[0]) for call in made}


@cache
def _modules() -> dict[Path, ast.Module]:
    return {path.relative_to(_PACKAGE): ast.parse(path.read_text()) for path in _PACKAGE.rglob("*.py")}
