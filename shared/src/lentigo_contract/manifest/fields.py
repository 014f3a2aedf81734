"""Types of the manifest's fields, each with what its values must keep to."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

# One step of a path: no separator, no control character, and nothing that UTF-8 cannot write.
_PATH_PART: Final = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f\ud800-\udfff]+")


# Our longest text, how the thresholds were chosen, has 635 characters, and our largest JSON object,
# the metrics, 320 values. What is read from a manifest is held in memory, logged and sent.
MAX_TEXT: Final = 4096
MAX_NAME: Final = 200
MAX_PATH: Final = 1024
MAX_JSON_VALUES: Final = 10_000
MAX_ENTRIES: Final = 1000
_MAX_WHOLE_NUMBER: Final = 2**63 - 1


def _inside_the_version(path: str) -> str:
    if not all(_PATH_PART.fullmatch(part) for part in path.split("/")):
        raise ValueError("not a path inside the version")
    return path


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _plain_json(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    pending: list[JsonValue] = [values]
    count = 0
    while pending:
        value = pending.pop()
        count += 1
        if count + len(pending) > MAX_JSON_VALUES:
            raise ValueError(f"more than {MAX_JSON_VALUES:,} values")
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise ValueError(f"a text of more than {MAX_TEXT:,} characters")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("JSON has no NaN or infinity; use null for an undefined figure")
        if isinstance(value, dict):
            if max(map(len, value), default=0) > MAX_NAME:
                raise ValueError(f"a name of more than {MAX_NAME:,} characters")
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return values


Count = Annotated[int, Field(ge=0, le=_MAX_WHOLE_NUMBER)]
Seed = Annotated[int, Field(ge=-_MAX_WHOLE_NUMBER, le=_MAX_WHOLE_NUMBER)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RelativePath = Annotated[str, Field(max_length=MAX_PATH), AfterValidator(_inside_the_version)]
UtcDatetime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_plain_json)]


class Record(BaseModel):
    """Base of everything in the manifest: frozen, and strict about names and types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
