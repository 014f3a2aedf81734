"""Tensors of the Open Inference Protocol: as JSON numbers, or in binary after the JSON.

The binary extension is Triton's (protocol/extension_binary_data). The JSON comes first; the header
`Inference-Header-Content-Length` gives its length. Then come the bytes of the tensors, in the order
of the inputs that carry `binary_data_size`.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.wording import pluralize
from lentigo_engines.base import OUTPUTS, UNLIKENESS, Floats, Images, Prediction, outputs_of
from lentigo_inference.api.open_inference.json_pixels import cut_data, parse_pixels
from lentigo_inference.api.open_inference.schemas import InferRequest, InputTensor
from lentigo_inference.errors import MalformedRequestError

HEADER: Final = "Inference-Header-Content-Length"

INPUT: Final = "image"

MAX_IMAGES: Final = 32

# Numbers as text take up to six times the bytes: three digits, a comma and perhaps a space or a
# bracket.
MAX_JSON_IMAGES: Final = 4
# Of Triton's classification and shared-memory extensions.
_UNSUPPORTED: Final = frozenset(
    {
        "classification",
        "shared_memory_region",
        "shared_memory_byte_size",
        "shared_memory_offset",
    }
)
_SHAPE: Final = (MODEL_SIDE, MODEL_SIDE, 3)
IMAGE_BYTES: Final = math.prod(_SHAPE)
# What is parsed as JSON: everything but the pixels.
MAX_PARSED_BYTES: Final = 64 * 2**10
MAX_JSON_BYTES: Final = MAX_JSON_IMAGES * IMAGE_BYTES * 6 + MAX_PARSED_BYTES
MAX_BODY_BYTES: Final = MAX_PARSED_BYTES + MAX_IMAGES * IMAGE_BYTES


def body_limit(header_length: str | None) -> int:
    """Return the largest body in bytes, for a request with or without the binary extension."""
    return MAX_JSON_BYTES if header_length is None else MAX_BODY_BYTES


def parse_request(body: bytes, header_length: str | None) -> tuple[InferRequest, list[Images]]:
    """Parse an inference request.

    Args:
        body: as received.
        header_length: the header `Inference-Header-Content-Length`, if it was sent.

    Returns:
        The request and its images, 1 to `MAX_IMAGES`, each uint8 [224, 224, 3].

    Raises:
        MalformedRequestError: not an inference request, or not the tensor that the model expects.
    """
    split = _header_bytes(header_length, len(body))
    parsed, numbers = cut_data(body[:split])
    if len(parsed) > MAX_PARSED_BYTES:
        raise MalformedRequestError(
            f"The JSON has more than {MAX_PARSED_BYTES:,} bytes beside its data, which must be "
            "whole numbers from 0 to 255, flat or nested as the shape says."
        )
    try:
        request = InferRequest.model_validate_json(parsed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise MalformedRequestError(
            f"The JSON is not an inference request: {place}: {first['msg']}."
        ) from error
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        raise MalformedRequestError(f'Send exactly one input, named "{INPUT}".')
    _check_outputs(request)
    _refuse_extensions(request)
    count = _image_count(request.inputs[0])
    pixels = _pixels(request.inputs[0], numbers, body[split:], count)
    images = np.frombuffer(pixels, np.uint8).reshape(count, *_SHAPE)
    return request, list(images)


def require_outputs(request: InferRequest, manifest: Manifest) -> None:
    """Check that the version has every requested output.

    Raises:
        MalformedRequestError: it lacks one.
    """
    available = outputs_of(manifest)
    if not {output.name for output in request.outputs or ()} <= set(available):
        raise MalformedRequestError(
            f"The outputs of version {manifest.version} are {', '.join(available)}."
        )


def format_response(
    request: InferRequest, prediction: Prediction, manifest: Manifest
) -> tuple[dict[str, Any], list[bytes]]:
    """Return the JSON of a response, and the tensors that follow it in binary.

    The request must have passed `require_outputs`. Without `outputs`, the response has all outputs
    of the version, as the protocol asks.
    """
    binary_by_default = request.parameters.get("binary_data_output") is True
    requested = (
        [
            (each.name, each.parameters.get("binary_data", binary_by_default) is True)
            for each in request.outputs
        ]
        if request.outputs
        else [(name, binary_by_default) for name in outputs_of(manifest)]
    )
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for output, as_binary in requested:
        values: Floats = getattr(prediction, output)
        entry: dict[str, Any] = {"name": output, "datatype": "FP32", "shape": list(values.shape)}
        if as_binary:
            data = values.astype("<f4").tobytes()
            binary.append(data)
            entry["parameters"] = {"binary_data_size": len(data)}
        else:
            entry["data"] = values.ravel().tolist()
        outputs.append(entry)
    content: dict[str, Any] = {
        "model_name": manifest.name,
        "model_version": str(manifest.version),
        "outputs": outputs,
    }
    if request.id is not None:
        content["id"] = request.id
    return content, binary


def _header_bytes(header_length: str | None, body_bytes: int) -> int:
    if header_length is None:
        return body_bytes
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 10):
        raise MalformedRequestError(f"{HEADER} is not a number of bytes.")
    length = int(header_length)
    if length > body_bytes:
        raise MalformedRequestError(f"{HEADER} is more than the length of the body.")
    if length > MAX_JSON_BYTES:
        raise MalformedRequestError(f"The JSON has more than {MAX_JSON_BYTES:,} bytes.")
    return length


def _check_outputs(request: InferRequest) -> None:
    names = [output.name for output in request.outputs or ()]
    known = (*OUTPUTS, UNLIKENESS)
    if not set(names) <= set(known) or len(set(names)) != len(names):
        raise MalformedRequestError(f"The outputs are {', '.join(known)}, each at most once.")


def _refuse_extensions(request: InferRequest) -> None:
    """Refuse parameters of Triton that would change the answer, instead of ignoring them."""
    for tensor in (*request.inputs, *(request.outputs or ())):
        found = _UNSUPPORTED & set(tensor.parameters)
        if found:
            raise MalformedRequestError(
                f'"{tensor.name}" has the parameter {min(found)}, which is not supported here.'
            )


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


def _pixels(
    tensor: InputTensor, numbers: bytes | None, binary: bytes, count: int
) -> bytes | npt.NDArray[np.uint8]:
    """Return the bytes of the tensor, from after the JSON or out of it."""
    size = tensor.parameters.get("binary_data_size")
    expected = count * IMAGE_BYTES
    if size is not None:
        if tensor.data is not None or size != expected or len(binary) != expected:
            raise MalformedRequestError(
                f"The binary data of {pluralize(count, 'image')} must be {expected:,} bytes after "
                "the JSON, and the JSON must have no data."
            )
        return binary
    if binary or tensor.data is None:
        raise MalformedRequestError(
            "Send the input as data in the JSON, or as bytes after it with binary_data_size."
        )
    if count > MAX_JSON_IMAGES:
        raise MalformedRequestError(
            f"As JSON, send at most {MAX_JSON_IMAGES} images. In binary, send at most {MAX_IMAGES}."
        )
    if numbers is None or tensor.data:
        raise MalformedRequestError(
            "The data must be whole numbers from 0 to 255, flat or nested as the shape says."
        )
    return parse_pixels(numbers, expected)
