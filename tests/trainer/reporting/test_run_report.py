import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.errors import MetricError
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.reporting import plots
from lentigo_trainer.reporting.run_report import tables, write_report
from lentigo_trainer.reporting.style import blank, in_per_cent
from lentigo_trainer.training.work_folder import EpochMetrics
from tests.trainer.metrics.made_up_answers import certain, made_up_answers

EPOCHS = tuple(
    EpochMetrics(
        epoch=number,
        accuracy=0.5 + number / 20,
        loss=1 / number,
        validation_accuracy=0.6 + number / 30,
        validation_loss=1.2 / number,
        seconds=60,
    )
    for number in range(1, 6)
)


@pytest.fixture(scope="module")
def result() -> Evaluation:
    return evaluate(*made_up_answers(1, n=200), seed=1, resamples=100)


@pytest.fixture(scope="module")
def two_classes() -> Evaluation:
    truth = np.array([index_of("nv")] * 9 + [index_of("mel")])
    return evaluate(truth, certain(*truth), np.arange(10), seed=1, resamples=100)


def decoded(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def test_plots_are_1024_pixels_wide_and_opaque(result: Evaluation) -> None:
    for png in (
        plots.curves(EPOCHS, 0.8, "nv"),
        plots.confusion(result),
        plots.reliability(result),
    ):
        image = decoded(png)
        assert image.format == "PNG"
        assert image.width == 1024
        assert np.asarray(image.convert("RGBA"))[..., 3].min() == 255


def test_the_same_evaluation_makes_the_same_bytes(result: Evaluation) -> None:
    assert plots.confusion(result) == plots.confusion(result)


def test_one_epoch_and_absent_classes_can_be_drawn(two_classes: Evaluation) -> None:
    decoded(plots.curves(EPOCHS[:1], 0.8, "nv"))
    decoded(plots.confusion(two_classes))
    decoded(plots.reliability(two_classes))


def test_curves_without_an_epoch_are_refused() -> None:
    with pytest.raises(MetricError, match="no epoch"):
        plots.curves((), 0.8, "nv")


def test_a_report_has_metrics_and_plots(result: Evaluation, tmp_path: Path) -> None:
    write_report(tmp_path / "report", result, EPOCHS)
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"metrics.json", "curves.png", "confusion.png", "reliability.png"}
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert Evaluation.from_json(written) == result


def test_without_epochs_there_are_no_curves(result: Evaluation, tmp_path: Path) -> None:
    write_report(tmp_path, result)
    assert not (tmp_path / "curves.png").exists()


def test_the_terminal_shows_metrics_baselines_and_reasons(two_classes: Evaluation) -> None:
    console = Console(file=io.StringIO(), record=True, width=200)
    console.print(*tables(two_classes))
    text = console.export_text()
    assert "90.0 %" in text
    assert "Balanced accuracy (over 2 of 7 classes)" in text
    assert "Recall of df: There is no example of df, so its recall is undefined." in text
    assert all(code in text for code in CODES)


def test_a_tick_in_per_cent_has_only_the_digits_it_needs() -> None:
    axis = blank(2.0).subplots().yaxis
    in_per_cent(axis)
    labels = axis.get_major_formatter().format_ticks([0.725, 0.8, 0.07])
    assert labels == ["72.5 %", "80 %", "7 %"]
