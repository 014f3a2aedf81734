"""The description of a lesion as JSON."""

import numpy as np
import numpy.typing as npt

from lentigo_contract.description import asymmetry, border, colours, describe
from lentigo_contract.description.wording import (
    NOTICE,
    REASONS,
    asymmetry_sentence,
    border_sentence,
    colours_sentence,
    diameter_sentence,
)
from lentigo_inference.api.description.schemas import (
    Asymmetry,
    Border,
    BorderSector,
    Colours,
    Description,
    Diameter,
    FoldedAxis,
    FoundColour,
)


def description_response(description: describe.Description) -> Description:
    """Return the member `description` of a prediction."""
    lesion, reason = description.lesion, description.reason
    whole = lesion is not None and lesion.is_whole
    return Description(
        described=lesion is not None,
        reason=reason,
        sentence=None if reason is None else REASONS[reason],
        outlines=[] if lesion is None else [_line(each) for each in lesion.outlines],
        share=None if lesion is None else round(lesion.share, 4),
        cut=None if lesion is None else round(lesion.cut, 4),
        asymmetry=None
        if lesion is None or lesion.asymmetry is None
        else _asymmetry(lesion.asymmetry),
        border=None if lesion is None else _border(lesion.border, whole=whole),
        colours=None if lesion is None else _colours(lesion.colours),
        diameter=None
        if lesion is None or lesion.diameter is None
        else _diameter(lesion.diameter, lesion.share),
        notice=NOTICE,
    )


def _asymmetry(found: asymmetry.Asymmetry) -> Asymmetry:
    axes = [
        FoldedAxis(
            line=_line(axis.ends),
            shape=round(axis.shape, 3),
            colour=round(axis.colour, 1),
            asymmetric=axis.asymmetric,
        )
        for axis in found.axes
    ]
    return Asymmetry(score=found.score, axes=axes, sentence=asymmetry_sentence(found))


def _border(found: border.Border, *, whole: bool) -> Border:
    sectors = [
        BorderSector(
            abrupt=sector.abrupt,
            sharpness=None if sector.sharpness is None else round(sector.sharpness, 3),
            lines=[_line(line) for line in sector.lines],
        )
        for sector in found.sectors
    ]
    return Border(
        score=found.score,
        irregularity=round(found.irregularity, 3) if whole else None,
        sectors=sectors,
        sentence=border_sentence(found),
    )


def _colours(found: colours.Colours) -> Colours:
    return Colours(
        score=found.score,
        found=[FoundColour(name=name, share=round(share, 3)) for name, share in found.found],
        sentence=colours_sentence(found),
    )


def _diameter(found: describe.Diameter, share: float) -> Diameter:
    return Diameter(
        pixels=round(found.pixels, 1),
        line=_line(found.ends),
        sentence=diameter_sentence(found, share),
    )


def _line(places: npt.ArrayLike) -> list[list[float]]:
    """Round places to a tenth of a pixel, which is finer than any outline is known."""
    rounded: list[list[float]] = np.round(np.asarray(places), 1).tolist()
    return rounded
