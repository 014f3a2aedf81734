"""Rules that say which instances of an archive are answered.

The first rule that matches decides. Within a rule every member that is given must match; of a
member's several values, one.
"""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

ImageClass = Literal[
    "dermoscopic", "photograph", "secondary-capture", "multi-frame-secondary-capture"
]

IMAGE_CLASSES: Final[Mapping[ImageClass, str]] = {
    "dermoscopic": "1.2.840.10008.5.1.4.1.1.77.1.7",
    "photograph": "1.2.840.10008.5.1.4.1.1.77.1.4",
    "secondary-capture": "1.2.840.10008.5.1.4.1.1.7",
    "multi-frame-secondary-capture": "1.2.840.10008.5.1.4.1.1.7.4",
}
"""SOP classes that can be answered (DICOM PS3.4, B.5), by their names in a rule."""

ACCEPTED_CLASSES: Final = frozenset(IMAGE_CLASSES.values())

REPORT_CLASSES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
        "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
        "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
        "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
    }
)
"""SOP classes of structured reports, which may confirm a diagnosis."""

VERIFIED: Final = "VERIFIED"
"""Verification Flag of a report that a person answers for (DICOM PS3.3, C.17.2)."""

# No attribute that rules look at may be longer (DICOM PS3.5, 6.2: LO).
_LONGEST_VALUE: Final = 64

OUR_MANUFACTURER: Final = "Lentigo"
"""Manufacturer in every result of ours; such an instance is never taken."""


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """What rules look at.

    Attributes:
        sop_class: UID.
        modality: (0008,0060), such as `DMS`.
        body_site: (0018,0015).
        station: (0008,1010).
        descriptions: of the study (0008,1030) and of the series (0008,103E).
        manufacturer: (0008,0070).
    """

    sop_class: str
    modality: str = ""
    body_site: str = ""
    station: str = ""
    descriptions: tuple[str, ...] = ()
    manufacturer: str = ""


class Rule(BaseModel):
    """A rule, `[[rules]]` in the configuration. Patterns have `*` and `?`; case does not count.

    Attributes:
        take: whether an instance that matches is answered.
        sop_class: names of SOP classes.
        modality: patterns.
        body_site: patterns of Body Part Examined.
        station: patterns of Station Name.
        description: patterns of Study Description or Series Description.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    take: bool = True
    sop_class: tuple[ImageClass, ...] = ()
    modality: tuple[str, ...] = ()
    body_site: tuple[str, ...] = ()
    station: tuple[str, ...] = ()
    description: tuple[str, ...] = ()

    def matches(self, header: InstanceHeader) -> bool:
        """Return whether an instance matches."""
        classes = {IMAGE_CLASSES[name] for name in self.sop_class}
        return (
            (not classes or header.sop_class in classes)
            and _matches(self.modality, [header.modality])
            and _matches(self.body_site, [header.body_site])
            and _matches(self.station, [header.station])
            and _matches(self.description, header.descriptions)
        )


DEFAULT_RULES: Final = (Rule(sop_class=("dermoscopic",)),)
"""Without rules of its own, a gateway answers what declares itself dermoscopic."""


def takes(rules: Sequence[Rule], header: InstanceHeader) -> bool:
    """Return whether an instance is to be answered: never one of our own results."""
    if header.sop_class not in ACCEPTED_CLASSES or header.manufacturer == OUR_MANUFACTURER:
        return False
    decisive = next((rule for rule in rules if rule.matches(header)), None)
    return decisive is not None and decisive.take


def _matches(patterns: Sequence[str], values: Iterable[str]) -> bool:
    if not patterns:
        return True
    lowered = [value[:_LONGEST_VALUE].strip().lower() for value in values]
    return any(
        fnmatch.fnmatchcase(value, pattern.lower()) for pattern in patterns for value in lowered
    )
