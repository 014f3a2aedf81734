"""The answer to one image, `POST /v1/predictions`, as those read it who pass it on.

Members that are not listed here are ignored, because `/v1` may get more of them.
"""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as validator

from lentigo_contract.errors import PredictionDocumentError
from lentigo_contract.labels import CODES

Fraction = Annotated[float, Field(ge=0, le=1)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""A reason, such as `blurred`."""

Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""What names something: a version, an engine, an id."""

Label = Annotated[str, StringConstraints(pattern=r"^[ -~]{0,64}$")]
"""What is shown of the rest."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256, in hex."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class ModelIdentity(_Part):
    """The version that answered.

    Attributes:
        name: of the model.
        version: its number.
        architecture: of the network; empty if the answer does not say.
        engine: the runtime; empty if the answer does not say.
        digest: SHA-256 of its manifest, which has that of every other file; None from a service
            that does not give it.
    """

    name: Token
    version: Token
    architecture: Label = ""
    engine: Label = ""
    digest: Digest | None = None


class AnsweredImage(_Part):
    """The image, as it was sent.

    Attributes:
        sha256: of its bytes.
        format: such as `JPEG`; empty if unknown.
        width: in pixels; 0 if unknown.
        height: likewise.
    """

    sha256: Digest
    format: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{0,16}$")] = ""
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)


class ImageQuality(_Part):
    """Whether the image can be judged, and why not."""

    accepted: bool
    reasons: list[Word]
    unlikeness: float | None = Field(None, ge=0)
    unlikeness_limit: float | None = Field(None, gt=0)


class CodedProbability(_Part):
    """One of the seven diagnoses."""

    code: str
    probability: Fraction

    @validator(mode="after")
    def _one_of_the_seven(self) -> Self:
        if self.code not in CODES:
            raise ValueError(f"the code is none of {', '.join(CODES)}")
        return self


class DecidedDiagnosis(CodedProbability):
    """The diagnosis that was decided for."""

    decided_by: Word = "probable"
    confident: bool | None = None


class Malignancy(_Part):
    """The probability of malignancy, and whether to refer."""

    probability: Fraction | None
    threshold: Fraction
    refer: bool
    reasons: list[Word] = []


class Prediction(_Part):
    """An answer: all seven probabilities and a diagnosis, or neither if it was withheld."""

    id: Token
    model: ModelIdentity
    image: AnsweredImage
    quality: ImageQuality
    diagnosis: DecidedDiagnosis | None
    probabilities: list[CodedProbability]
    malignancy: Malignancy

    @validator(mode="after")
    def _whole_or_withheld(self) -> Self:
        codes = [each.code for each in self.probabilities]
        if codes and sorted(codes) != sorted(CODES):
            raise ValueError("probabilities: they are not those of the seven diagnoses")
        given = {bool(codes), self.diagnosis is not None, self.malignancy.probability is not None}
        if len(given) > 1:
            raise ValueError(
                "diagnosis, probabilities and malignancy.probability are given together or not "
                "at all"
            )
        return self

    @property
    def by_code(self) -> dict[str, float]:
        """The probabilities in `labels.CODES` order; empty if they were withheld."""
        found = {each.code: each.probability for each in self.probabilities}
        return {code: found[code] for code in CODES} if found else {}


_MOST_DETAILS: Final = 5


def read_prediction(document: object) -> Prediction:
    """Read the JSON of an answer.

    Args:
        document: as `json.loads` gives it.

    Raises:
        PredictionDocumentError: a member is missing, or has a value that it cannot have: NaN, a
            probability beyond 1, a diagnosis that is none of the seven.
    """
    try:
        return Prediction.model_validate(document)
    except (ValidationError, RecursionError) as error:
        raise PredictionDocumentError(
            f"This is no answer of `POST /v1/predictions` ({_details(error)}). Check that the "
            "address is Lentigo's, and that both are of one release."
        ) from error


def _details(error: ValidationError | RecursionError) -> str:
    """Return what is wrong, without a value: it may be anything."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}".removeprefix(": ")
        for each in found[:_MOST_DETAILS]
    ]
    return "; ".join(told)
