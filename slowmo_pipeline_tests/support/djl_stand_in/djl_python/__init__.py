"""Input and Output as model.py sees them in DJL Serving: the same names, arguments, defaults and types."""

import json
from collections.abc import Callable
from typing import Any

Content = list[tuple[str | None, bytearray]]
"""Keys, which may be missing, and values, in order."""


class Input:
    """A request; the first one that a worker gets has no content."""

    def __init__(self, properties: dict[str, str], content: Content) -> None:
        self.properties = properties
        self.content = content

    def is_empty(self) -> bool:
        return not self.content

    def get_properties(self) -> dict[str, str]:
        return self.properties

    def get_property(self, key: str) -> str | None:
        return next((value for name, value in self.properties.items() if name.lower() == key.lower()), None)

    def get_as_bytes(self, key: str | None = None) -> bytearray | None:
        if self.is_empty():
            return None
        values = dict(reversed(self.content))
        if key is not None:
            return values[key]
        return values.get("data", self.content[0][1])


class Output:
    """An answer."""

    def __init__(self, code: int = 200, message: str = "OK") -> None:
        self.code = code
        self.message = message
        self.properties: dict[str, str] = {}
        self.content: Content = []
        self.stream_content: Any = None
        self.last_act: Callable[[], Any] | None = None

    def add(self, value: Any, key: str | None = None) -> "Output":
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, bytes | bytearray):
            return self.add_as_json(value, key)
        self.content.append((key, bytearray(value)))
        return self

    def add_as_json(self, value: Any, key: str | None = None) -> "Output":
        self.content.append((key, bytearray(json.dumps(value).encode())))
        return self

    def add_stream_content(self, stream_content: Any, output_formatter: Any = json.dumps) -> "Output":
        self.stream_content = stream_content
        self.stream_output_formatter = output_formatter
        return self

    def add_property(self, key: str, value: str) -> "Output":
        self.properties[key] = value
        return self

    def error(self, error: str, code: int = 424, message: str = "prediction failure") -> "Output":
        self.code = code
        self.message = message
        self.add_as_json({"code": code, "message": message, "error": error})
        return self.add_property("content-type", "application/json")

    def finalize(self, act: Callable[..., Any], *arguments: Any) -> "Output":
        self.last_act = lambda: act(*arguments)
        return self
