import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Parameters
from lentigo_trainer.benchmark import plots
from lentigo_trainer.benchmark.records import Benchmark, BenchmarkResult
from lentigo_trainer.benchmark.report import read_report, report_page, write_report
from lentigo_trainer.errors import MetricError
from lentigo_trainer.models.registry import ARCHITECTURES
from tests.trainer.benchmark.made_up import made_benchmark, made_result


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    results = {
        "cnn": made_result(1, epochs=4),
        "vgg16": made_result(2, epochs=10, feature_seconds=None),
        "mobilenet": made_result(3, epochs=20, weights="random"),
    }
    return made_benchmark(results, {"resnet50": "weights unavailable (resnet50.h5)"})


@pytest.fixture(scope="module")
def folder(benchmark: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    write_report(benchmark, path)
    return path


def rows(text: str, first: str) -> list[list[str]]:
    """Return the cells of every row whose first cell begins with `first`."""
    lines = re.findall(rf"^\| ({re.escape(first)}.*) \|$", text, re.MULTILINE)
    return [row.split(" | ") for row in lines]


def test_the_record_can_be_read_back(benchmark: Benchmark, folder: Path) -> None:
    assert Benchmark.read(folder / "benchmark.json") == benchmark


def test_every_file_is_made_from_the_record_alone(folder: Path, tmp_path: Path) -> None:
    write_report(Benchmark.read(folder / "benchmark.json"), tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in tmp_path.iterdir()}
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_every_plot_of_the_page_exists_and_has_a_description(folder: Path) -> None:
    shown = dict(re.findall(r"!\[(.+)\]\((.+\.png)\)", (folder / "README.md").read_text()))
    assert set(shown.values()) == {path.name for path in folder.glob("*.png")}
    assert len(shown) == 2 + 2 * 3


def test_the_papers_metrics_stand_beside_ours(benchmark: Benchmark) -> None:
    text = report_page(benchmark)
    assert rows(text, "MobileNet, paper") == [
        ["MobileNet, paper", "20", "14.6", "95.37 %", "0.1258", "89.77 %", "0.3520"]
    ]
    # 120 s of features and 4 epochs of 60 s.
    assert rows(text, "CNN (4 of 10 epochs), here")[0][1:3] == ["4", "6.0"]


def test_an_unknown_time_is_not_measured(benchmark: Benchmark) -> None:
    assert rows(report_page(benchmark), "VGG16, here")[0][2] == "not measured"


def test_an_architecture_without_a_result_has_a_reason(benchmark: Benchmark) -> None:
    text = report_page(benchmark)
    assert rows(text, "ResNet50")[0][1:4] == ["not measured"] * 3
    assert "ResNet50: not measured. Reason: weights unavailable (resnet50.h5)." in text
    assert "MobileNetV2: not measured. Reason: left out of this benchmark." in text


def test_rows_name_fewer_epochs_fewer_rows_and_random_weights(benchmark: Benchmark) -> None:
    text = report_page(benchmark)
    assert rows(text, "CNN (4 of 10 epochs)")
    assert rows(text, "MobileNet (random frozen weights)")
    limited = report_page(made_benchmark({"cnn": made_result(1, epochs=10)}, limit=300))
    assert rows(limited, "CNN (140 rows)")
    assert "worth nothing" in limited
    assert "worth nothing" not in text


def test_architectures_trained_in_bfloat16_are_named(benchmark: Benchmark) -> None:
    assert "bfloat16" not in report_page(benchmark)
    mixed = made_benchmark({"cnn": made_result(1, bfloat16=True), "vgg16": made_result(2)})
    assert "In bfloat16 while training: CNN; the pass" in report_page(mixed)


def test_times_of_different_machines_have_letters(benchmark: Benchmark, tmp_path: Path) -> None:
    assert "achine A" not in report_page(benchmark)
    assert "Machine: 2 cores of Made-up 1, Linux" in report_page(benchmark)
    other = made_result(2).machine.model_copy(update={"processor": "Made-up 2", "cores": 1})
    mixed = made_benchmark(
        {
            "cnn": made_result(1, machine=other),
            "vgg16": made_result(2),
            "mobilenet": made_result(3),
        }
    )
    text = report_page(mixed)
    assert "Compare times only where the letter is" in text
    assert "Machine A: 1 core of Made-up 2, Linux" in text
    assert "Machine B: 2 cores of Made-up 1, Linux" in text
    costs = {row[0]: row[1] for row in rows(text[text.index("## Size") :], "")}
    assert {name: costs[name] for name in ("CNN", "VGG16", "MobileNet")} == {
        "CNN": "A",
        "VGG16": "B",
        "MobileNet": "B",
    }
    write_report(mixed, tmp_path)
    assert read_report(tmp_path) == mixed


def test_a_folder_without_a_report_has_none_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert read_report(tmp_path / "absent") is None
    (tmp_path / "benchmark.json").write_text("{")
    with pytest.raises(MetricError, match="Move it away"):
        read_report(tmp_path)


def test_the_page_has_the_baselines(benchmark: Benchmark) -> None:
    text = report_page(benchmark)
    assert rows(text, "*always nv*")[0][1:3] == ["80.7 %", "14.3 %"]
    assert 'always answering "akiec" comes to 14.3 %' in " ".join(text.split())


def test_every_class_has_its_recall_with_an_interval(benchmark: Benchmark) -> None:
    text = report_page(benchmark)
    assert all(re.search(rf"\| {code} \(\d+\) \|", text) for code in CODES)
    assert len(rows(text, "mel")) == 3
    assert re.search(r"\d+\.\d % \(\d+\.\d to \d+\.\d\)", rows(text, "nv")[0][2])


def test_the_page_has_the_research_notice(benchmark: Benchmark) -> None:
    assert "Not a medical device" in report_page(benchmark)


def test_a_benchmark_without_results_has_a_report(tmp_path: Path) -> None:
    write_report(made_benchmark({}), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"benchmark.json", "README.md"}
    said = f"0 of {len(ARCHITECTURES)} networks were measured"
    assert said in (tmp_path / "README.md").read_text()


def test_plots_of_an_earlier_report_are_removed(tmp_path: Path) -> None:
    (tmp_path / "curves-cnn.png").write_bytes(b"old")
    (tmp_path / "mine.png").write_bytes(b"mine")
    write_report(made_benchmark({}), tmp_path)
    assert not (tmp_path / "curves-cnn.png").exists()
    assert (tmp_path / "mine.png").exists()


@pytest.mark.parametrize("draw", [plots.recalls, plots.accuracy_by_latency])
@pytest.mark.parametrize(("count", "less"), [(1, ""), (7, " (1 of 20 epochs; 1,234 rows)")])
def test_plots_are_1024_pixels_wide_and_opaque(draw: object, count: int, less: str) -> None:
    assert callable(draw)
    results: list[tuple[str, BenchmarkResult]] = [
        (f"Network {n}{less}", made_result(n)) for n in range(1, count + 1)
    ]
    image = Image.open(io.BytesIO(draw(results)))
    assert image.width == 1024
    assert np.asarray(image.convert("RGBA"))[..., 3].min() == 255


@pytest.mark.parametrize("draw", [plots.recalls, plots.accuracy_by_latency])
def test_plots_without_a_result_are_refused(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(MetricError, match="no measured architecture"):
        draw([])


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema_version": 2}'])
def test_a_file_that_is_not_a_record_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "benchmark.json").write_bytes(content)
    with pytest.raises(MetricError, match=r"benchmark\.json is not a record"):
        Benchmark.read(tmp_path / "benchmark.json")


def test_a_network_that_was_not_measured_has_its_parameters() -> None:
    counted = Parameters(total=1_537_143, trainable=1_334_511, frozen=202_632)
    made = made_benchmark({"cnn": made_result(1)})
    entries = tuple(
        entry.model_copy(update={"parameters": counted})
        if entry.name == "mobilenet_v3_small"
        else entry
        for entry in made.entries
    )
    text = report_page(made.model_copy(update={"entries": entries}))
    costs = text[text.index("## Size") : text.index("## The paper")]
    expected = ["MobileNetV3 small", "1,537,143", "1,334,511", *["not measured"] * 5]
    assert rows(costs, "MobileNetV3 small") == [expected]
    assert rows(costs, "ResNet50") == []
