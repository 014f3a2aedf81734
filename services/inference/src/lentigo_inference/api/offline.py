"""`GET /v1/offline`: what the page needs to answer by itself, and the network that it runs.

The page reads an image, runs the network and decides as the service does, with the same numbers.
docs/decisions/0039-offline-answers.md has what it runs, and why.
"""

import functools
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lentigo_contract.errors import DamagedVersionError, VersionNotFoundError
from lentigo_contract.labels import CODES, DIAGNOSES, RESEARCH_NOTICE
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName, GoldenAnswer
from lentigo_contract.manifest.manifest import FileRecord
from lentigo_contract.manifest.probabilities import Prevalence
from lentigo_contract.system.files import open_plain
from lentigo_inference.api.dependencies import AppState, CurrentState
from lentigo_inference.api.models import model_details, model_reference
from lentigo_inference.api.openapi import problem_responses
from lentigo_inference.api.packed_weights import PIECE_BYTES, pack
from lentigo_inference.api.schemas import OfflineOffer
from lentigo_inference.serving.decision import DecisionRule
from lentigo_inference.serving.model_slot import LoadedModel

router = APIRouter(tags=["models"])

FORMAT: Final = 1
"""Of the version's description. A page that knows only others offers nothing."""

ENGINE: Final[EngineName] = "litert"
"""The page runs the float32 network, whose answers are those of the SavedModel to 1e-5. int8 would
be a third of the size, and differs by more than a page may that promises the same answer."""

PAGE_ENGINE: Final = "litert-web"
"""How the page names its engine in `model.engine` of an answer."""

_MODEL: Final = "v1/offline/model"


# Not async, so that it runs in a thread: the first time, it packs the network.
@router.get("/v1/offline", responses=problem_responses())
def offline(state: CurrentState) -> OfflineOffer:
    """Describe the version in use for a page that is to answer without the service.

    Without one, it says why the page cannot: a setting, the audit trail, or the version.
    """
    model = state.slot.current
    golden = None if model is None else _golden(model)
    objection = _objection(state, model)
    if objection is not None or model is None or golden is None:
        return OfflineOffer(format=FORMAT, objection=objection, version=None)
    return OfflineOffer(format=FORMAT, objection=None, version=_description(state, model, *golden))


Packed = Annotated[
    bool,
    Query(description="Whether to pack the weights, as the page unpacks them; half the bytes."),
]


# Not async, so that it runs in a thread: it reads a file.
@router.get(
    "/v1/offline/model",
    response_class=Response,
    responses={
        **problem_responses(404),
        200: {
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "\u001c\u0000\u0000\u0000TFL3...",
                }
            }
        },
    },
)
def offline_model(request: Request, packed: Packed = False) -> StreamingResponse:
    """Return the network of the version in use, a LiteRT file; its digest is in `/v1/offline`.

    Only the packed one is compressed, once for all: it would save a tenth of the other, and cost as
    much as thirty predictions, each time.
    """
    state: AppState = request.state.app_state
    model = state.slot.current
    objection = _objection(state, model)
    if objection is not None or model is None:
        raise VersionNotFoundError(objection or "There is no version in use.")
    content = _content(_path(model), _record(model).bytes)
    headers = {}
    if packed:
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            compressed = _packed(model).compressed
            headers |= {"Content-Encoding": "gzip", "Content-Length": str(len(compressed))}
            content = _pieces(compressed)
        else:
            content = pack(content)
    return StreamingResponse(content, headers=headers, media_type="application/octet-stream")


def _objection(state: AppState, model: LoadedModel | None) -> str | None:
    """Return why the page may not answer by itself, or None if it may."""
    if not state.settings.offline:
        return "This service does not offer it (LENTIGO_OFFLINE)."
    if state.audit is not None:
        return "This service keeps an audit trail, and answers on a device would not be in it."
    if model is None:
        return "The service has no model yet."
    manifest = model.stored.manifest
    figures = (manifest.agreement or {}).get(ENGINE)
    if (
        LITERT_FILES[ENGINE] not in manifest.files
        or figures is None
        or figures.shortfall() is not None
        or _golden(model) is None
    ):
        return f"Version {model.version} has no network that a browser can run and check."
    return None


def _golden(model: LoadedModel) -> tuple[int, GoldenAnswer] | None:
    """Return the seed of the golden images and the engine's answers to them, if there are any."""
    golden = model.stored.manifest.golden
    if golden is None or ENGINE not in golden.answers:
        return None
    return golden.seed, golden.answers[ENGINE]


def _description(
    state: AppState, model: LoadedModel, seed: int, answer: GoldenAnswer
) -> dict[str, Any]:
    """Return the version as `js/offline/answer.js` takes it."""
    manifest, limits = model.stored.manifest, state.settings.image_limits()
    reference = model_reference(model).model_dump(mode="json")
    record, packed = _record(model), _packed(model)
    allowed = answer.allowed(ENGINE)
    return {
        "model": {**reference, "engine": PAGE_ENGINE},
        "created": manifest.created.isoformat(),
        "details": model_details(model).model_dump(mode="json"),
        "file": {
            "path": _MODEL,
            "bytes": record.bytes,
            "sha256": record.sha256,
            "packed": {
                "path": f"{_MODEL}?packed=true",
                "bytes": packed.size,
                "transferred": len(packed.compressed),
            },
        },
        "labels": [
            {"code": each.code, "name": each.name, "malignant": each.malignant}
            for each in DIAGNOSES
        ],
        "rule": _rule(model.rule),
        "unlikeness_limit": None if manifest.unlikeness is None else manifest.unlikeness.limit,
        "map": manifest.activation_map.model_dump(mode="json"),
        "limits": {
            "max_bytes": limits.max_bytes,
            "max_pixels": limits.max_pixels,
            "max_side": limits.max_side,
            "min_side": limits.min_side,
        },
        "notice": RESEARCH_NOTICE,
        "golden": {
            "seed": seed,
            "probabilities": [list(row) for row in answer.probabilities],
            "unlikeness": None if answer.unlikeness is None else list(answer.unlikeness),
            "allowed": {
                "probability": allowed.probability,
                "log_probability": allowed.log_probability,
                "unlikeness": allowed.unlikeness,
            },
        },
    }


def _rule(rule: DecisionRule) -> dict[str, Any]:
    calibration = rule.calibration
    return {
        "thresholds": {
            "malignancy": rule.thresholds.malignancy,
            "abstention": rule.thresholds.abstention,
        },
        "declared": _shares(rule.declared),
        "clinic": _shares(rule.clinic),
        "calibration": None
        if calibration is None
        else {"slope": calibration.slope, "intercept": calibration.intercept},
        "decided_by": rule.decided_by,
    }


def _shares(prevalence: Prevalence | None) -> list[float] | None:
    return None if prevalence is None else [prevalence[code] for code in CODES]


def _record(model: LoadedModel) -> FileRecord:
    return model.stored.manifest.files[LITERT_FILES[ENGINE]]


def _path(model: LoadedModel) -> Path:
    return model.stored.path / LITERT_FILES[ENGINE]


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Read the file piece by piece; whoever gets it holds it against the manifest's sum.

    It is open only while a piece is read. Otherwise slow clients would use up the descriptors that
    the service may have.
    """
    for start in range(0, size, PIECE_BYTES):
        yield _piece(path, start)


def _piece(path: Path, start: int) -> bytes:
    try:
        with BufferedReader(open_plain(path)) as file:
            file.seek(start)
            return file.read(PIECE_BYTES)
    except OSError as error:
        raise DamagedVersionError(f"{path} cannot be read ({error.strerror or error}).") from error


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


@dataclass(frozen=True, slots=True)
class _PackedNetwork:
    """A network as `packed_weights` packs it: its size in bytes, and all of it by gzip."""

    size: int
    compressed: bytes


def _packed(model: LoadedModel) -> _PackedNetwork:
    record = _record(model)
    return _packed_file(_path(model), record.bytes, record.sha256)


# Of the version in use; packing takes a third of a second.
@functools.lru_cache(maxsize=1)
def _packed_file(path: Path, file_bytes: int, sha256: str) -> _PackedNetwork:
    content = b"".join(_content(path, file_bytes))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedVersionError(f"{path} is not the file that the manifest names.")
    packed = b"".join(pack(_pieces(content)))
    return _PackedNetwork(len(packed), gzip.compress(packed, 6, mtime=0))
