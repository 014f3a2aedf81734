"""A scorecard as a file: written with or without the answers, and read back with care."""

import json
from pathlib import Path

from lentigo_contract.errors import MetricError, ScorecardError
from lentigo_trainer.scoring.scorecard import SCHEMA_VERSION, Scorecard
from lentigo_trainer.system.storage import write_whole


def write_scorecard(path: Path, card: Scorecard, with_answers: bool = False) -> None:
    """Write every figure as JSON; the answers too, a line each, if asked to.

    Raises:
        StorageError: the disk is full or not writable.
    """
    values = card.without_answers().to_json()
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    if with_answers and card.answers:
        lines = ",\n".join(f"    {each.model_dump_json()}" for each in card.answers)
        text = text.removesuffix("\n}\n") + f',\n  "answers": [\n{lines}\n  ]\n}}\n'
    write_whole(path, lambda file: file.write(text.encode()))


def read_scorecard(path: Path) -> Scorecard:
    """Read what `write_scorecard` wrote.

    Raises:
        ScorecardError: not there, no scorecard, or one of another schema.
    """
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise ScorecardError(
            f"{path} cannot be read ({error.strerror or error}). It is written by "
            "`lentigo-train evaluate --json`."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ScorecardError(
            f"{path} is no JSON ({error}). Write it again with `lentigo-train evaluate --json`."
        ) from error
    schema = values.get("schema_version") if isinstance(values, dict) else None
    if schema != SCHEMA_VERSION or isinstance(schema, bool):
        raise ScorecardError(
            f"{path} has the schema version {schema}; this release reads {SCHEMA_VERSION}. Measure "
            "again with `lentigo-train evaluate --json` of this release."
        )
    try:
        return Scorecard.from_json(values)
    except MetricError as error:
        raise ScorecardError(f"{path} cannot be used. {error}") from error
