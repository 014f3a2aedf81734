"""JSON schemas of the description of a lesion."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from lentigo_contract.description.colours import ColourName
from lentigo_contract.description.describe import Reason
from lentigo_contract.description.wording import NOTICE
from lentigo_inference.api.schemas import Fraction

Point = Annotated[
    list[float],
    Field(
        min_length=2,
        max_length=2,
        description="Across and down from the upper left corner of the image as a viewer shows it, "
        "in its pixels.",
    ),
]
Line = Annotated[list[Point], Field(description="Points that are joined in their order.")]
Sentence = Annotated[str, Field(description="The same in plain English.")]


class FoldedAxis(BaseModel):
    """The lesion folded over an axis through its middle."""

    line: Line
    shape: Fraction = Field(description="Share of its area without a counterpart.")
    colour: float = Field(ge=0, description="Mean difference of colour to the counterpart, CIELAB.")
    asymmetric: bool = Field(
        description="Whether the sides differ: `shape` above 0.1 or `colour` above 8."
    )


class Asymmetry(BaseModel):
    """About how many of two axes at right angles the lesion is asymmetric, in shape or colour."""

    score: int = Field(ge=0, le=2)
    axes: list[FoldedAxis] = Field(
        description="Two, laid so that the lesion is as symmetric as can be."
    )
    sentence: Sentence


class BorderSector(BaseModel):
    """An eighth of the border."""

    abrupt: bool | None = Field(
        description="Whether the pigment ends abruptly; null where the border is not seen."
    )
    sharpness: Fraction | None = Field(
        description="Share of the change of lightness across the border that lies within a "
        "sixtieth of the longer side; abrupt from 0.55."
    )
    lines: list[Line] = Field(description="The pieces of the outline in this sector.")


class Border(BaseModel):
    """In how many of eight sectors the pigment ends abruptly."""

    score: int = Field(ge=0, le=8)
    irregularity: float | None = Field(
        description="Squared length of the outline over that of a circle of the same area, about 1 "
        "for a circle and more for any other shape; null if the lesion is cut."
    )
    sectors: list[BorderSector] = Field(
        description="Eight of 45 degrees, clockwise from the first axis of asymmetry."
    )
    sentence: Sentence


class FoundColour(BaseModel):
    """A colour and its share of the lesion."""

    name: ColourName
    share: Fraction


class Colours(BaseModel):
    """How many of six colours cover at least 5% of the lesion."""

    score: int = Field(ge=0, le=6)
    found: list[FoundColour] = Field(description="Those, the largest first.")
    sentence: Sentence


class Diameter(BaseModel):
    """Between the two points of the outline that are farthest apart."""

    pixels: float = Field(ge=0, description="Of the image. They say nothing about millimetres.")
    line: Line
    sentence: Sentence


class Description(BaseModel):
    """What the lesion looks like. It plays no part in the diagnosis; the network does not use it.

    Asymmetry, border and colours follow the ABCD rule of dermatoscopy (Nachbar et al. 1994). D is
    the diameter in pixels here, and not the structures of that rule.
    """

    described: bool = Field(description="If false, all but `reason` and `notice` is null or empty.")
    reason: Reason | None = Field(
        description="Why the lesion is not described; `cut`: only in part, because it goes on "
        "beyond the edge of the image. Null if it is described as a whole."
    )
    sentence: str | None = Field(description="The reason in plain English; null without one.")
    outlines: list[Line] = Field(
        description="A polygon for each region of the lesion, the largest first; the last point is "
        "joined to the first."
    )
    share: Fraction | None = Field(description="Of the image that the lesion covers.")
    cut: Fraction | None = Field(
        description="Share of the outline that is the edge of the image or of the lens."
    )
    asymmetry: Asymmetry | None = Field(description="Null if the lesion is cut.")
    border: Border | None
    colours: Colours | None
    diameter: Diameter | None = Field(description="Null if the lesion is cut.")
    notice: str


_PIECE: Final = [[402.1, 225.0], [330.4, 296.8]]

EXAMPLE: Final[dict[str, Any]] = {
    "described": True,
    "reason": None,
    "sentence": None,
    "outlines": [[[402.1, 225.0], [330.4, 296.8], [214.9, 260.3], [230.0, 150.7]]],
    "share": 0.11,
    "cut": 0.0,
    "asymmetry": {
        "score": 1,
        "axes": [
            {"line": _PIECE, "shape": 0.05, "colour": 3.1, "asymmetric": False},
            {"line": _PIECE, "shape": 0.14, "colour": 5.2, "asymmetric": True},
        ],
        "sentence": "Asymmetric about one of two axes at right angles, in shape or colour.",
    },
    "border": {
        "score": 1,
        "irregularity": 1.24,
        "sectors": [{"abrupt": True, "sharpness": 0.61, "lines": [_PIECE]}],
        "sentence": "The pigment ends abruptly in 1 of 8 sectors.",
    },
    "colours": {
        "score": 2,
        "found": [{"name": "light-brown", "share": 0.58}, {"name": "dark-brown", "share": 0.31}],
        "sentence": "2 colours of six: light brown (58%), dark brown (31%).",
    },
    "diameter": {
        "pixels": 203.5,
        "line": _PIECE,
        "sentence": "203 pixels across at its widest, and 11% of the picture. Without a scale, "
        "pixels say nothing about millimetres.",
    },
    "notice": NOTICE,
}
"""Of `Description`, shortened."""
