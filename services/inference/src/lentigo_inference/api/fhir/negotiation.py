"""Content negotiation by `Accept` (RFC 9110, sections 12.4 and 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from lentigo_contract.fhir.elements import MEDIA_TYPE as FHIR
from lentigo_inference.errors import NotAcceptableError

JSON: Final = "application/json"

# The parameter with which FHIR asks for a release (R4, 3.1.0.1.10), and what we make.
_RELEASE: Final = "fhirversion"
_RELEASES: Final = frozenset({"4.0", "4.0.1"})

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE: Final = re.compile(rf"({_NAME})/({_NAME})")
_PARAMETER: Final = re.compile(rf'[ \t]*({_NAME})=("(?:[^"\\]|\\.)*"|{_NAME})[ \t]*')
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
# Elements of a list, and the parts of an element; neither ends within quotation marks.
_ELEMENT: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PART: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')

# Enough for every browser. The rest of a longer list is not looked at: that would hold up the loop.
_MOST_RANGES: Final = 64
_MOST_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class _MediaRange:
    """One element of `Accept`.

    Attributes:
        type: such as `application`, or `*`.
        subtype: such as `json`, or `*`.
        parameters: those that say what is asked for, without the weight.
        weight: 0 to 1.
    """

    type: str
    subtype: str
    parameters: dict[str, str] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def specificity(self) -> tuple[bool, bool, int]:
        """What makes one range more specific than another that matches too."""
        return self.type != "*", self.subtype != "*", len(self.parameters)

    def matches(self, media_type: str) -> bool:
        """Whether it asks for a media type."""
        kind, _, subtype = media_type.partition("/")
        if self.type not in ("*", kind) or self.subtype not in ("*", subtype):
            return False
        release = self.parameters.get(_RELEASE)
        return media_type != FHIR or release is None or release in _RELEASES


def negotiate(request: Request, offered: Sequence[str]) -> str:
    """Return the media type of the response: the one with the highest weight in `Accept`.

    Of equal ones, the first that is offered. What is malformed in the header is left out; without
    anything that can be read, everything is acceptable.

    Args:
        request: its `Accept` is read.
        offered: media types in the order in which we prefer them.

    Raises:
        NotAcceptableError: it accepts none of these.
    """
    ranges = list(_ranges(",".join(request.headers.getlist("accept"))))
    if not ranges:
        return offered[0]
    weights = {each: _weight(each, ranges) for each in offered}
    best = max(weights, key=lambda each: weights[each])
    if weights[best] > 0:
        return best
    raise NotAcceptableError(f"Accept allows none of what there is: {', '.join(offered)}.")


async def _of_a_prediction(request: Request, response: Response) -> str:
    response.headers["Vary"] = "Accept"
    return negotiate(request, (JSON, FHIR))


PredictionMediaType = Annotated[str, Depends(_of_a_prediction)]
"""The media type of the answer to an image, as a parameter of its route. It is decided before the
upload is read, so that a refusal costs no upload."""


def _weight(media_type: str, ranges: Sequence[_MediaRange]) -> float:
    matching = [each for each in ranges if each.matches(media_type)]
    if not matching:
        return 0.0
    return max(matching, key=lambda each: each.specificity).weight


def _ranges(header: str) -> Iterator[_MediaRange]:
    for found in islice(_ELEMENT.finditer(header[:_MOST_CHARACTERS]), _MOST_RANGES):
        parsed = _parsed(found[0])
        if parsed is not None:
            yield parsed


def _parsed(element: str) -> _MediaRange | None:
    first, *rest = [part[0] for part in _PART.finditer(element)] or [""]
    name = _RANGE.fullmatch(first.strip(" \t"))
    if name is None or (name[1] == "*" and name[2] != "*"):
        return None
    parameters: dict[str, str] = {}
    weight = 1.0
    for part in rest:
        if not part.strip(" \t"):
            continue
        parameter = _PARAMETER.fullmatch(part)
        if parameter is None:
            return None
        key, value = parameter[1].lower(), parameter[2].strip('"')
        if key == "q":
            if not _WEIGHT.fullmatch(value):
                return None
            weight = float(value)
        else:
            parameters[key] = value
    return _MediaRange(name[1].lower(), name[2].lower(), parameters, weight)
