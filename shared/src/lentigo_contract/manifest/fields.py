"""Types of the manifest's fields, each with what its values must keep to."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

# One step of a path: no separator, no control character, and nothing that UTF-8 cannot write.
_PATH_PART: Final = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f\ud800-\udfff]+")


def _inside_the_version(path: str) -> str:
    if not all(_PATH_PART.fullmatch(part) for part in path.split("/")):
        raise ValueError("not a path inside the version")
    return path


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _plain_json(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    pending: list[JsonValue] = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("JSON has no NaN or infinity; use null for an undefined figure")
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return values


Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RelativePath = Annotated[str, AfterValidator(_inside_the_version)]
UtcDatetime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_plain_json)]


class Record(BaseModel):
    """Base of everything in the manifest: frozen, and strict about names and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
