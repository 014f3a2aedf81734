"""The base of every table of a recipe, and keys that were renamed.

Keys that were renamed can still be written with their former name: older recipes, manifests and
work folders hold them. A table with both names of a key is refused.
"""

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError


class StrictModel(BaseModel):
    """Base of every table of a recipe: frozen, strict types, finite numbers, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_one_name_per_key(cls, values: object) -> object:
        for field in cls.model_fields.values():
            if isinstance(field.validation_alias, AliasChoices) and isinstance(values, dict):
                names = [str(name) for name in field.validation_alias.choices if name in values]
                if len(names) > 1:
                    raise PydanticCustomError(
                        "two_names",
                        "{former} is the former name of {name}; remove {former}",
                        {"name": names[0], "former": names[1]},
                    )
        return values


def renamed(name: str, former: str) -> FieldInfo:
    """Declare a key that may also be written with its former name."""
    field: FieldInfo = Field(validation_alias=AliasChoices(name, former))
    return field
