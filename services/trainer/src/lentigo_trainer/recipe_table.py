"""A table of a recipe: strict, frozen, and without a key that nobody reads."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """Base of everything that is read from a recipe's TOML."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
