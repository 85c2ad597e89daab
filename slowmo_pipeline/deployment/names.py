"""What everything of one deployment is called. Nothing is remembered elsewhere: names and a tag find it all again."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

VARIANT = "AllTraffic"
"""The only production variant; SageMaker wants it named."""

PACKAGES = "models/"
"""Prefix in the storage of what deployments were given; a deployment's name follows."""

_TAG = "slowmo:deployment"


class Tag(TypedDict):
    """A tag as all the services spell it."""

    Key: str
    Value: str


@dataclass(frozen=True)
class Names:
    """The names of one deployment's resources."""

    deployment: str

    @property
    def tag(self) -> Tag:
        """Marks a resource as this deployment's."""
        return {"Key": _TAG, "Value": self.deployment}

    @property
    def endpoint(self) -> str:
        """The endpoint at SageMaker, which has the deployment's own name."""
        return self.deployment

    @property
    def scalable(self) -> str:
        """What Application Auto Scaling calls the endpoint's instances."""
        return f"endpoint/{self.endpoint}/variant/{VARIANT}"

    @property
    def backlog_policy(self) -> str:
        """The scaling policy that follows the backlog."""
        return f"{self.deployment}-backlog"

    @property
    def wake_policy(self) -> str:
        """The scaling policy that starts the first instance."""
        return f"{self.deployment}-wake"

    @property
    def wake_alarm(self) -> str:
        """The alarm that sets off the wake policy."""
        return f"{self.deployment}-has-backlog-without-capacity"

    @property
    def topics(self) -> tuple[str, str]:
        """The topics for successes and for errors."""
        return f"{self.deployment}-success", f"{self.deployment}-error"

    @property
    def packages(self) -> str:
        """Prefix of the packages in the storage.

        Each deployment has its own: deleting one never takes the package from which another still starts.
        """
        return f"{PACKAGES}{self.deployment}/"

    def package(self, sha256: str) -> str:
        """Key of a package in the storage."""
        return f"{self.packages}{sha256}/model.tar.gz"

    def version(self, content: Mapping[str, object]) -> str:
        """The name of the model or the endpoint configuration with that content; another content, another name."""
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.deployment}-{digest[:8]}"

    def is_version(self, name: str) -> bool:
        """Whether `version` may have made a name."""
        return re.fullmatch(rf"{re.escape(self.deployment)}-[0-9a-f]{{8}}", name) is not None
