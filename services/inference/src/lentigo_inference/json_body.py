"""Small JSON bodies, read within bounds and whatever their Content-Type.

Public clients of the Open Inference Protocol send JSON under several content types, or none, and
often no body at all where every member has a default.
"""

from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from lentigo_contract.errors import MalformedRequestError
from lentigo_inference.uploads import read_body

M = TypeVar("M", bound=BaseModel)

# What is expected has some hundred bytes.
_MAX_BYTES: Final = 64 * 2**10


async def read_json(request: Request, schema: type[M], timeout_s: float) -> M:
    """Read a body of JSON; an empty one stands for `{}`.

    Raises:
        MalformedRequestError: too long, not JSON, or not what the schema says.
        UnsupportedContentTypeError: compressed.
        UploadTimeoutError: not complete in time.
        starlette.requests.ClientDisconnect: the client went away.
    """
    excess = MalformedRequestError(f"The body has more than {_MAX_BYTES:,} bytes of JSON.")
    body = await read_body(request, _MAX_BYTES, timeout_s, excess)
    try:
        return schema.model_validate_json(body.strip() or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise MalformedRequestError(
            f"The JSON body is not what is expected: {place}: {first['msg']}."
        ) from error
