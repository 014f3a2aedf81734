"""Tensors of the Open Inference Protocol: as JSON numbers, or in binary behind the JSON.

The binary extension is Triton's (protocol/extension_binary_data): the JSON comes first, as long as
the header `Inference-Header-Content-Length` says, and then the tensors' bytes, one after another in
the order of the inputs that carry `binary_data_size`.
"""

import itertools
import math
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.manifest.manifest import Manifest
from lentigo_inference.api.open_inference_schemas import InferRequest, InputTensor
from lentigo_inference.engines.base import (
    OUTPUTS,
    UNLIKENESS,
    Floats,
    Images,
    Prediction,
    outputs_of,
)
from lentigo_inference.errors import MalformedRequestError

HEADER: Final = "Inference-Header-Content-Length"

INPUT: Final = "image"

MAX_IMAGES: Final = 32

# Numbers as text take long to read, and nothing else is answered meanwhile; four images take some
# ten milliseconds. Each number has three digits, a comma and perhaps a space or a bracket.
MAX_JSON_IMAGES: Final = 4
_SHAPE: Final = (MODEL_SIDE, MODEL_SIDE, 3)
IMAGE_BYTES: Final = math.prod(_SHAPE)
MAX_JSON_BYTES: Final = MAX_JSON_IMAGES * IMAGE_BYTES * 6 + 64 * 2**10
MAX_BODY_BYTES: Final = 64 * 2**10 + MAX_IMAGES * IMAGE_BYTES


def body_limit(header_length: str | None) -> int:
    """Give the largest body, in bytes, for a request with or without the binary extension."""
    return MAX_JSON_BYTES if header_length is None else MAX_BODY_BYTES


def parse_request(body: bytes, header_length: str | None) -> tuple[InferRequest, list[Images]]:
    """Read an inference request.

    Args:
        body: as it came.
        header_length: the header `Inference-Header-Content-Length`, if it was sent.

    Returns:
        The request, and its images: uint8 [224, 224, 3] each, 1 to `MAX_IMAGES` of them.

    Raises:
        MalformedRequestError: not an inference request, or not the tensor this model takes.
    """
    split = _header_bytes(header_length, len(body))
    try:
        request = InferRequest.model_validate_json(body[:split])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise MalformedRequestError(
            f"The JSON is not an inference request: {place}: {first['msg']}."
        ) from error
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        raise MalformedRequestError(f'Send exactly one input, named "{INPUT}".')
    _check_outputs(request)
    count = _image_count(request.inputs[0])
    pixels = _pixels(request.inputs[0], body[split:], count)
    images = np.frombuffer(pixels, np.uint8).reshape(count, *_SHAPE)
    return request, list(images)


def require_outputs(request: InferRequest, manifest: Manifest) -> None:
    """Refuse a request for outputs that a version does not have.

    Raises:
        MalformedRequestError: it asks for one.
    """
    given = outputs_of(manifest)
    if not {output.name for output in request.outputs or ()} <= set(given):
        raise MalformedRequestError(
            f"The outputs of version {manifest.version} are {', '.join(given)}."
        )


def format_answer(
    request: InferRequest, prediction: Prediction, name: str, version: str
) -> tuple[dict[str, Any], list[bytes]]:
    """Give the JSON of an answer, and the tensors that follow it in binary.

    What is asked for went through `require_outputs`. Without `outputs` in the request it is the
    probabilities alone.
    """
    by_default = request.parameters.get("binary_data_output") is True
    wanted = (
        [
            (each.name, each.parameters.get("binary_data", by_default) is True)
            for each in request.outputs
        ]
        if request.outputs
        else [(OUTPUTS[0], by_default)]
    )
    described: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for output, as_binary in wanted:
        values: Floats = getattr(prediction, output)
        entry: dict[str, Any] = {"name": output, "datatype": "FP32", "shape": list(values.shape)}
        if as_binary:
            content = values.astype("<f4").tobytes()
            binary.append(content)
            entry["parameters"] = {"binary_data_size": len(content)}
        else:
            entry["data"] = values.ravel().tolist()
        described.append(entry)
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": described}
    if request.id is not None:
        answer["id"] = request.id
    return answer, binary


def _header_bytes(header_length: str | None, body_bytes: int) -> int:
    if header_length is None:
        return body_bytes
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 10):
        raise MalformedRequestError(f"{HEADER} is not a number of bytes.")
    length = int(header_length)
    if length > body_bytes:
        raise MalformedRequestError(f"{HEADER} is more than the body has.")
    if length > MAX_JSON_BYTES:
        raise MalformedRequestError(f"The JSON has more than {MAX_JSON_BYTES:,} bytes.")
    return length


def _check_outputs(request: InferRequest) -> None:
    names = [output.name for output in request.outputs or ()]
    known = (*OUTPUTS, UNLIKENESS)
    if not set(names) <= set(known) or len(set(names)) != len(names):
        raise MalformedRequestError(f"The outputs are {', '.join(known)}, each at most once.")


def _image_count(tensor: InputTensor) -> int:
    if tensor.datatype != "UINT8":
        raise MalformedRequestError(f'The input "{INPUT}" is UINT8.')
    count, *rest = tensor.shape or [0]
    if tuple(rest) != _SHAPE or not 1 <= count <= MAX_IMAGES:
        raise MalformedRequestError(
            f'The shape of "{INPUT}" is [n, {MODEL_SIDE}, {MODEL_SIDE}, 3] with n from 1 to '
            f"{MAX_IMAGES}."
        )
    return count


def _pixels(tensor: InputTensor, behind: bytes, count: int) -> bytes:
    """Give the bytes of the tensor, from behind the JSON or out of it."""
    size = tensor.parameters.get("binary_data_size")
    wanted = count * IMAGE_BYTES
    if size is not None:
        if tensor.data is not None or size != wanted or len(behind) != wanted:
            raise MalformedRequestError(
                f"The binary data of {count} images are {wanted:,} bytes and follow the JSON, "
                "which then has no data."
            )
        return behind
    if behind or tensor.data is None:
        raise MalformedRequestError(
            "Send the input's data, or its bytes behind the JSON with binary_data_size."
        )
    if count > MAX_JSON_IMAGES:
        raise MalformedRequestError(
            f"As JSON, send at most {MAX_JSON_IMAGES} images. In binary it may be {MAX_IMAGES}."
        )
    return _flat(tensor.data, wanted)


def _flat(data: list[Any], wanted: int) -> bytes:
    """Take nested or flat lists apart; only whole numbers from 0 to 255 become bytes."""
    try:
        for _ in range(len(_SHAPE)):
            if data and isinstance(data[0], list):
                data = list(itertools.chain.from_iterable(data))
        if len(data) != wanted:
            raise MalformedRequestError(
                f"The data have {len(data):,} numbers; the shape asks for {wanted:,}."
            )
        # Python takes true for 1; whoever sends it means something else.
        if set(map(type, data)) != {int}:
            raise TypeError
        return bytes(data)
    except (TypeError, ValueError) as error:
        raise MalformedRequestError(
            "The data are whole numbers from 0 to 255, flat or nested as the shape says."
        ) from error
