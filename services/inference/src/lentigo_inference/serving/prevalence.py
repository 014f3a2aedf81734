"""The prevalence of a clinic, from the file that `LENTIGO_PREVALENCE` names."""

import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from lentigo_contract.manifest.probabilities import Prevalence
from lentigo_contract.system.files import read_start
from lentigo_inference.errors import PrevalenceFileError

# Shares are written with three or four decimals.
_SUM_TOLERANCE: Final = 1e-3
_MAX_BYTES: Final = 64 * 2**10

_NUMBERS: Final = TypeAdapter(
    dict[str, Annotated[float, Field(strict=True, allow_inf_nan=False)]],
)
_PREVALENCE: Final[TypeAdapter[dict[str, float]]] = TypeAdapter(Prevalence)

_ADVICE: Final = (
    "Give each of the seven diagnoses a share above 0, such as nv = 0.67; they sum to 1."
)


def read_prevalence(path: Path) -> Prevalence:
    """Read the shares from a TOML file, a line for each code, such as `nv = 0.67`.

    They may miss a sum of 1 by a thousandth, and are scaled to it.

    Raises:
        PrevalenceFileError: unreadable, not TOML, or not seven shares above 0 that sum to 1.
    """
    try:
        return _validated(_NUMBERS.validate_python(_parsed(path)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        why = str(first["msg"]).removeprefix("Value error, ")
        raise PrevalenceFileError(
            f"The prevalence in {path} cannot be used ({f'{place}: ' if place else ''}{why}). "
            f"{_ADVICE}"
        ) from error


def _validated(shares: dict[str, float]) -> Prevalence:
    total = math.fsum(shares.values())
    if abs(total - 1) <= _SUM_TOLERANCE:
        shares = {code: share / total for code, share in shares.items()}
    return _PREVALENCE.validate_python(shares)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = read_start(path, _MAX_BYTES + 1)
    except OSError as error:
        raise PrevalenceFileError(
            f"The prevalence in {path} cannot be read ({error.strerror or error}). Let this user "
            "read it, or unset LENTIGO_PREVALENCE."
        ) from error
    if content is None:
        raise PrevalenceFileError(f"{path} is not a file. LENTIGO_PREVALENCE names one.")
    if len(content) > _MAX_BYTES:
        raise PrevalenceFileError(
            f"{path} has more than {_MAX_BYTES:,} bytes: it is no prevalence. {_ADVICE}"
        )
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise PrevalenceFileError(
            f"The prevalence in {path} is not TOML ({str(error).splitlines()[0]}). {_ADVICE}"
        ) from error
