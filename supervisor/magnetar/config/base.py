"""What the groups of keys have in common."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class Keys(BaseModel):
    """A group of keys: snake_case here, camelCase in the file; a key without a value counts as absent."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        coerce_numbers_to_str=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_absent(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None}

    @classmethod
    def aliases(cls) -> dict[str, str]:
        """Return the file's spelling of every field by its name here."""
        return {name: field.alias or name for name, field in cls.model_fields.items()}


class OwnKeys(Keys):
    """A group of keys that are Magnetar's own, where an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid")
