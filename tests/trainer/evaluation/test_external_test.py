from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import ImportedSetError
from lentigo_trainer.evaluation.external_test import open_external_set
from lentigo_trainer.evaluation.report import (
    EvaluationReport,
    evaluated_model,
    read_evaluation_report,
    score,
    write_evaluation_report,
)
from lentigo_trainer.reporting.tables import text_tables
from tests.fakes import made_manifest
from tests.trainer.data.extra.made_up_set import made_up_set
from tests.trainer.evaluation.sets import image_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"nv": 24, "mel": 12, "bkl": 6}
    return made_up_set(tmp_path_factory.mktemp("set"), counts, kept_out_share=0.4)


def report_on(folder: Path) -> EvaluationReport:
    """Of a version that says 0.3 of melanoma about every image, and 0.7 of nevus."""
    manifest = made_manifest()
    with open_external_set(folder, "all") as images:
        answers = np.zeros((len(images.names), len(CODES)))
        answers[:, CODES.index("mel")], answers[:, CODES.index("nv")] = 0.3, 0.7
        model = evaluated_model(manifest, 1)
        return score(model, images, "none: ", answers, manifest, seed=0, resamples=20)


def test_the_parts_hold_what_they_say(folder: Path) -> None:
    names: dict[str, set[str]] = {}
    for part in ("kept-out", "training", "all"):
        with open_external_set(folder, part) as images:
            names[part] = set(images.names)
            assert images.readers[0]().startswith(b"\xff\xd8")
            assert part == "all" or f"the {part} part of others" in images.description
    assert names["kept-out"] | names["training"] == names["all"]
    assert not names["kept-out"] & names["training"]


def test_it_tells_how_far_the_probability_of_malignancy_can_be_trusted(folder: Path) -> None:
    found = report_on(folder).external
    assert found is not None
    assert (found.set_name, found.classes, found.groups) == ("others", ("bkl", "mel", "nv"), 42)
    # 12 of 42 are melanomas, and every answer says 0.3.
    assert found.malignancy_calibration_error.value == pytest.approx(abs(12 / 42 - 0.3))
    assert found.malignancy_calibration_error.n == 42


def test_it_stands_in_the_tables_and_is_read_back(folder: Path, tmp_path: Path) -> None:
    report = report_on(folder)
    first = text_tables(report)[0]
    assert first.title == "External test on others, which knows bkl, mel, nv"
    assert [row[0] for row in first.rows][:1] == ["AUC, melanoma against the rest"]
    write_evaluation_report(tmp_path / "r.json", report)
    assert read_evaluation_report(tmp_path / "r.json").external == report.external


def test_other_images_have_no_external_test() -> None:
    manifest, images = made_manifest(), image_set()
    answers = np.full((len(images.names), len(CODES)), 1 / len(CODES))
    model = evaluated_model(manifest, 1)
    report = score(model, images, "none: ", answers, manifest, seed=0, resamples=20)
    assert report.external is None
    assert "external" not in report.to_json()


def test_an_empty_part_is_refused(tmp_path: Path) -> None:
    whole = made_up_set(tmp_path, {"nv": 2}, kept_out_share=0.0)
    with (
        pytest.raises(ImportedSetError, match="kept-out part"),
        open_external_set(whole, "kept-out"),
    ):
        pass
