"""Config fields of Dagster that are settings: name, type and meaning come from where the setting stands."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, get_origin

from pydantic import Field
from pydantic.fields import FieldInfo

from slowmo_pipeline.settings import meaning, plain_type


def config_fields(settings: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """A field for each setting, unset unless it must be given. Whoever takes the values checks them."""
    return {
        name: (_type(field), Field(description=meaning(field)))
        if field.is_required()
        else (_type(field) | None, Field(None, description=meaning(field)))
        for name, field in settings.items()
    }


def _type(field: FieldInfo) -> Any:
    kind = plain_type(field)
    if kind is Fraction:
        return Any  # 4, 2.5 and "5/2": of Dagster's types only that of anything takes numbers and texts.
    return kind if kind in (bool, int, float) or get_origin(kind) is dict else str
