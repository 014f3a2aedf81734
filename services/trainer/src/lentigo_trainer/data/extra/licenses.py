"""Creative Commons licences: what a set's images ask of whoever uses them.

A network's weights derive from its images, so an image whose licence forbids derivatives cannot
train one, and the weights carry every condition of every image.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_CONDITIONS: Final = ("BY", "NC", "SA", "ND")
"""In the order in which a licence's name lists them."""

_NAME: Final = re.compile(r"CC[- ]?(BY(?:[- ](?:NC|SA|ND))*)(?:[- ]?V?(\d(?:\.\d)?))?")

_ADDRESS: Final = re.compile(r"CREATIVECOMMONS\.ORG/LICENSES/([A-Z-]+)/(\d\.\d)")

_FREE: Final = re.compile(r"CC[- ]?(?:0|ZERO)(?:[- ]?V?1(?:\.0)?)?|PUBLIC[- ]DOMAIN")


@dataclass(frozen=True, slots=True)
class License:
    """A Creative Commons licence.

    Attributes:
        conditions: of BY, NC, SA and ND; none for the public domain.
        version: such as "4.0"; empty if it is not stated.
    """

    conditions: frozenset[str]
    version: str = ""

    @property
    def forbids_derivatives(self) -> bool:
        """Whether no network may be trained on the images."""
        return "ND" in self.conditions

    def __str__(self) -> str:
        if not self.conditions:
            return "CC0"
        listed = "-".join(each for each in _CONDITIONS if each in self.conditions)
        return f"CC {listed} {self.version}".strip()


def parse_license(text: str) -> License | None:
    """Read a licence as people write it: `CC-BY-NC`, `CC BY 4.0`, `CC-0`, or its address.

    Returns:
        None for any other text.
    """
    plain = " ".join(text.replace("_", "-").upper().split())
    if _FREE.fullmatch(plain):
        return License(frozenset())
    found = _NAME.fullmatch(plain) or _ADDRESS.search(plain)
    if found is None:
        return None
    conditions = frozenset(re.split(r"[- ]", found[1]))
    return License(conditions, found[2] or "") if conditions <= set(_CONDITIONS) else None


def strictest(licenses: Iterable[License]) -> License:
    """Return the licence that has every condition of these, and their newest version."""
    found = list(licenses)
    return License(
        conditions=frozenset().union(*(each.conditions for each in found)),
        version=max((each.version for each in found), default=""),
    )
