"""One row for each image: what was answered, or why there is no answer.

The members of an answer of `POST /v1/predictions`, one to a column. `FIELDS` has the columns in
their order; `arrow_schema` gives them to Parquet.
"""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from lentigo_contract.errors import ImageError, LentigoError
from lentigo_contract.labels import CODES, DIAGNOSES, RESEARCH_NOTICE
from lentigo_inference.errors import FetchError
from lentigo_inference.problem_types import INTERNAL, PROBLEMS
from lentigo_inference.scoring.items import Item
from lentigo_inference.serving.decision import Decision, referral_reasons
from lentigo_inference.serving.judgement import PredictionResult

if TYPE_CHECKING:
    import pyarrow as pa

WORKER_ENDED: Final = "worker-ended"
"""Value of `error` for an image with which one process after another ended."""


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one image.

    Attributes:
        item: place of the image in the archive, from 0; each stands in exactly one row.
        path: as the archive or the table gives it.
        sha256: hex digest of the bytes; None if they could not be had.
        format: such as `JPEG`; this and what follows is None for an image that was not decoded.
        width: in pixels, as a viewer shows it.
        height: likewise.
        accepted: whether the image can be judged.
        refusal: why it cannot; empty if it can.
        unlikeness: distance from the training images; None if the network did not run.
        diagnosis: code of the decided diagnosis; None if it is withheld.
        diagnosis_probability: of that diagnosis, 0 to 1.
        decided_by: `balanced` or `probable`.
        confident: whether the highest probability reaches the abstention threshold.
        most_probable: code of the most probable diagnosis.
        probabilities: [7], in `labels.CODES` order; empty if they are withheld.
        malignancy: probability of malignancy, 0 to 1.
        refer: whether a physician should see the lesion.
        refer_reasons: why.
        error: why there is no answer, as the last part of a problem type; None if there is one.
        error_detail: the same as a sentence.
    """

    item: int
    path: str
    sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    accepted: bool | None = None
    refusal: tuple[str, ...] = ()
    unlikeness: float | None = None
    diagnosis: str | None = None
    diagnosis_probability: float | None = None
    decided_by: str | None = None
    confident: bool | None = None
    most_probable: str | None = None
    probabilities: tuple[float, ...] = field(default=())
    malignancy: float | None = None
    refer: bool | None = None
    refer_reasons: tuple[str, ...] = ()
    error: str | None = None
    error_detail: str | None = None


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """What stands in every row alike.

    Attributes:
        model_version: its number.
        model_sha256: digest of its manifest.
        engine: what ran it.
        malignancy_threshold: probability of malignancy from which to refer.
        unlikeness_limit: above it an image cannot be judged; None if the version has none.
    """

    model_version: int
    model_sha256: str
    engine: str
    malignancy_threshold: float
    unlikeness_limit: float | None


def answered_row(item: Item, result: PredictionResult) -> Row:
    """Return the row of an image that was decoded, whether it can be judged or not."""
    quality, decision, image = result.quality, result.decision, result.upload.image
    reasons = referral_reasons(decision, accepted=quality.accepted)
    return Row(
        item=item.number,
        path=item.path,
        sha256=result.upload.sha256,
        format=image.format,
        width=image.width,
        height=image.height,
        accepted=quality.accepted,
        refusal=quality.reasons,
        unlikeness=quality.unlikeness,
        refer=bool(reasons),
        refer_reasons=reasons,
        **({} if decision is None else _decided(decision)),
    )


def _decided(decision: Decision) -> dict[str, Any]:
    return {
        "diagnosis": DIAGNOSES[decision.diagnosis].code,
        "diagnosis_probability": float(decision.probabilities[decision.diagnosis]),
        "decided_by": decision.decided_by,
        "confident": decision.confident,
        "most_probable": DIAGNOSES[decision.ranked[0]].code,
        "probabilities": tuple(decision.probabilities.tolist()),
        "malignancy": decision.malignancy,
    }


def failed_row(item: Item, error: Exception, sha256: str | None = None) -> Row:
    """Return the row of an image without an answer, with the error that `/v1` would answer with."""
    if isinstance(error, FetchError):
        code = error.reason.value
    else:
        problem = next(
            (PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS), INTERNAL
        )
        code = problem.slug
    known = isinstance(error, ImageError | LentigoError)
    detail = str(error) if known else type(error).__name__
    return Row(item.number, item.path, sha256, error=code, error_detail=detail)


def lost_row(item: Item) -> Row:
    """Return the row of an image with which one worker after another ended."""
    detail = "Each process that scored this image ended. Score it alone, with more memory."
    return Row(item.number, item.path, error=WORKER_ENDED, error_detail=detail)


def arrow_schema(metadata: dict[str, str]) -> "pa.Schema":
    """Return the schema of a part.

    Args:
        metadata: goes into the file, beside the notice.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra

    text, number, words = pa.string(), pa.float64(), pa.list_(pa.string())
    types = {
        "item": pa.int64(),
        "path": text,
        "sha256": text,
        "format": text,
        "width": pa.int32(),
        "height": pa.int32(),
        "accepted": pa.bool_(),
        "refusal": words,
        "unlikeness": number,
        "diagnosis": text,
        "diagnosis_probability": number,
        "decided_by": text,
        "confident": pa.bool_(),
        "most_probable": text,
        **{f"probability_{code}": number for code in CODES},
        "malignancy": number,
        "refer": pa.bool_(),
        "refer_reasons": words,
        "error": text,
        "error_detail": text,
        "model_version": pa.int32(),
        "model_sha256": text,
        "engine": text,
        "malignancy_threshold": number,
        "unlikeness_limit": number,
    }
    return pa.schema(types, metadata={"notice": RESEARCH_NOTICE, **metadata})


def arrow_table(rows: list[Row], answered_by: AnsweredBy, metadata: dict[str, str]) -> "pa.Table":
    """Return rows as a table, a column for each probability."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    columns: dict[str, list[Any]] = {
        each.name: [getattr(row, each.name) for row in rows]
        for each in fields(Row)
        if each.name != "probabilities"
    }
    for place, code in enumerate(CODES):
        columns[f"probability_{code}"] = [
            row.probabilities[place] if row.probabilities else None for row in rows
        ]
    for each in fields(AnsweredBy):
        columns[each.name] = [getattr(answered_by, each.name)] * len(rows)
    schema = arrow_schema(metadata)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)
