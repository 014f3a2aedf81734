"""Runs of `lentigo-inference score` with the model that ships, and what came of them."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from lentigo_contract.labels import CODES
from tests.e2e.service_process import COMMAND, DEADLINE_S, environment

SHIPPED: Final = Path(__file__).parents[2] / "models"
ENGINE: Final = "litert-int8"
PART: Final = 20


def score(source: Path, to: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "score", str(source), "--to", str(to), "--part-size", str(PART), *options],
        env=environment(SHIPPED, LENTIGO_ENGINE=ENGINE, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out, err


def rows_of(to: Path) -> list[dict[str, Any]]:
    parts = sorted((to / "rows").glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def as_answer(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row in the form of the service's JSON, as far as both say the same things."""
    shares = {code: row[f"probability_{code}"] for code in CODES}
    told = row["diagnosis"] is not None
    return {
        "sha256": row["sha256"],
        "size": (row["format"], row["width"], row["height"]),
        "quality": (row["accepted"], row["refusal"], row["unlikeness"], row["unlikeness_limit"]),
        "diagnosis": (row["diagnosis"], row["diagnosis_probability"]),
        "decided": (row["decided_by"], row["confident"]),
        "most_probable": row["most_probable"],
        "probabilities": shares if told else {},
        "malignancy": (row["malignancy"], row["malignancy_threshold"]),
        "refer": (row["refer"], row["refer_reasons"]),
        "model": (str(row["model_version"]), row["model_sha256"], row["engine"]),
    }


def of_service(answer: dict[str, Any]) -> dict[str, Any]:
    diagnosis = answer["diagnosis"] or {}
    most_probable = answer.get("most_probable") or answer["diagnosis"] or {}
    image, quality = answer["image"], answer["quality"]
    malignancy, model = answer["malignancy"], answer["model"]
    return {
        "sha256": image["sha256"],
        "size": (image["format"], image["width"], image["height"]),
        "quality": (
            quality["accepted"],
            quality["reasons"],
            quality["unlikeness"],
            quality["unlikeness_limit"],
        ),
        "diagnosis": (diagnosis.get("code"), diagnosis.get("probability")),
        "decided": (diagnosis.get("decided_by"), diagnosis.get("confident")),
        "most_probable": most_probable.get("code"),
        "probabilities": {each["code"]: each["probability"] for each in answer["probabilities"]},
        "malignancy": (malignancy["probability"], malignancy["threshold"]),
        "refer": (malignancy["refer"], malignancy["reasons"]),
        "model": (model["version"], model["digest"], model["engine"]),
    }


def score_without(module: str, source: str, to: Path) -> subprocess.CompletedProcess[str]:
    """Run it where a module is not installed."""
    hidden = f"import sys; sys.modules[{module!r}] = None; from lentigo_inference.cli import main; "
    arguments = ["score", source, "--to", str(to)]
    return subprocess.run(
        [sys.executable, "-c", f"{hidden}sys.exit(main({arguments!r}))"],
        env=environment(SHIPPED),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
