"""The seven diagnoses of HAM10000, in the one order every array of Lentigo uses.

The order is alphabetical by code, which is also the order in which Keras lists class folders.
Descriptions follow Tschandl, Rosendahl and Kittler, "The HAM10000 dataset" (Scientific Data 5,
180161, 2018). Clinical codes are those of the WHO's ICD-10 (2019 edition).
"""

from dataclasses import dataclass
from typing import Final

RESEARCH_NOTICE: Final = "Research use only. Not a medical device."


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One diagnosis the network can name.

    Attributes:
        code: the short code of HAM10000's `dx` column.
        name: English name, as shown to a clinician.
        malignant: whether it counts as malignant when a lesion is referred (melanoma, basal cell
            carcinoma, and actinic keratoses / intraepithelial carcinoma).
        icd10: ICD-10 categories the diagnosis falls under.
    """

    code: str
    name: str
    malignant: bool
    icd10: tuple[str, ...]


DIAGNOSES: Final[tuple[Diagnosis, ...]] = (
    Diagnosis("akiec", "Actinic keratosis or intraepithelial carcinoma", True, ("L57.0", "D04")),
    Diagnosis("bcc", "Basal cell carcinoma", True, ("C44",)),
    Diagnosis("bkl", "Benign keratosis", False, ("L82", "L81.4", "L43")),
    Diagnosis("df", "Dermatofibroma", False, ("D23",)),
    Diagnosis("mel", "Melanoma", True, ("C43", "D03")),
    Diagnosis("nv", "Melanocytic nevus", False, ("D22",)),
    Diagnosis("vasc", "Vascular lesion", False, ("D18.0", "I78.1")),
)

CODES: Final[tuple[str, ...]] = tuple(diagnosis.code for diagnosis in DIAGNOSES)
MALIGNANT: Final[tuple[bool, ...]] = tuple(diagnosis.malignant for diagnosis in DIAGNOSES)

_INDEX: Final[dict[str, int]] = {code: index for index, code in enumerate(CODES)}


def index_of(code: str) -> int:
    """Return the position of a diagnosis code in `CODES`.

    Raises:
        KeyError: the code is none of the seven.
    """
    return _INDEX[code]
