"""A plain sentence for each part of a description, in English; the page has its own languages."""

from typing import Final

from lentigo_contract.description.asymmetry import Asymmetry
from lentigo_contract.description.border import Border
from lentigo_contract.description.colours import ColourName, Colours
from lentigo_contract.description.describe import Diameter, Reason
from lentigo_contract.wording import pluralize

NOTICE: Final = (
    "Describes the picture and plays no part in the diagnosis; the network does not use it. "
    "Research use only. Not a medical device."
)

REASONS: Final[dict[Reason, str]] = {
    "no-lesion": "Not described: nothing stands out from the skin.",
    "all-lesion": "Not described: the lesion fills the picture, so there is no border to see.",
    "hair": "Not described: hair covers too much of the picture.",
    "cut": "Described in part: the lesion goes on beyond the edge of the picture, so neither "
    "asymmetry nor diameter nor irregularity can be told.",
    "unusable": "Not described: the image cannot be judged.",
    "failed": "Not described: the description failed or was not ready in time. The prediction is "
    "not affected.",
}

_NAMES: Final[dict[ColourName, str]] = {
    "white": "white",
    "red": "red",
    "light-brown": "light brown",
    "dark-brown": "dark brown",
    "blue-grey": "blue-grey",
    "black": "black",
}


def asymmetry_sentence(asymmetry: Asymmetry) -> str:
    """Say about how many axes a lesion is asymmetric."""
    match asymmetry.score:
        case 0:
            return "Symmetric about both axes, in shape and colour."
        case 1:
            return "Asymmetric about one of two axes at right angles, in shape or colour."
        case _:
            return "Asymmetric about both axes, in shape or colour."


def border_sentence(border: Border) -> str:
    """Say in how many sectors the pigment ends abruptly."""
    unseen = sum(sector.abrupt is None for sector in border.sectors)
    told = f"The pigment ends abruptly in {border.score} of 8 sectors"
    return f"{told}; {unseen} cannot be seen." if unseen else f"{told}."


def colours_sentence(colours: Colours) -> str:
    """Name the colours and their shares."""
    if not colours.found:
        return "None of the six colours of the ABCD rule covers 5% of the lesion."
    listed = ", ".join(f"{_NAMES[name]} ({share:.0%})" for name, share in colours.found)
    return f"{pluralize(colours.score, 'colour', 'colours')} of six: {listed}."


def diameter_sentence(diameter: Diameter, share: float) -> str:
    """Say how large a lesion is in the picture."""
    return (
        f"{diameter.pixels:.0f} pixels across at its widest, and {share:.0%} of the picture. "
        "Without a scale, pixels say nothing about millimetres."
    )
