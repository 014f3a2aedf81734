"""The reviewed table from the words of other collections to the seven diagnoses.

`diagnoses.csv`, beside this module, has a row for each word: the code it maps to, or none and why.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import MetadataError

_TABLE: Final = "diagnoses.csv"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word of another collection means here.

    Attributes:
        code: one of the seven; None if it is none of them, or says too little.
        why: why there is no code; empty if there is one.
    """

    code: str | None
    why: str = ""


DiagnosisTable = Mapping[str, Meaning]
"""Meaning of each word, by its normalised form."""


def diagnosis_table() -> DiagnosisTable:
    """Read the reviewed table."""
    text = (files("lentigo_trainer.data.extra") / _TABLE).read_text("utf-8")
    return parse_table(text.splitlines())


def parse_table(lines: Iterable[str]) -> DiagnosisTable:
    """Read a table from its lines: `diagnosis,code,why`, and comments after `#`.

    Raises:
        MetadataError: a word is listed twice, has a code that is none of the seven, or has neither
            a code nor a reason.
    """
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    table: dict[str, Meaning] = {}
    for row in rows:
        word, code, why = (str(row.get(key) or "").strip() for key in ("diagnosis", "code", "why"))
        key = normalised(word)
        if key in table or (code and code not in CODES) or bool(code) == bool(why):
            raise MetadataError(
                f"The table of diagnoses cannot be used at {word!r}: each word needs one row, with "
                f"one of {', '.join(CODES)} or the reason why it has none."
            )
        table[key] = Meaning(code or None, why)
    return table


def meaning_of(words: Sequence[str], table: DiagnosisTable) -> Meaning | None:
    """Return what a diagnosis means, by its most specific word in the table.

    Args:
        words: of one image, the most specific first; empty ones say nothing.
        table: see `diagnosis_table`.

    Returns:
        None if the table lists none of the words.
    """
    keys = (normalised(word) for word in words if word.strip())
    return next((table[key] for key in keys if key in table), None)


def normalised(word: str) -> str:
    """Return a word in lower case, without commas, underscores and double spaces."""
    return " ".join(word.lower().replace(",", " ").replace("_", " ").split())
