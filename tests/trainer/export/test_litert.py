import re
from contextlib import closing
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.engines import (
    GOLDEN_IMAGES,
    GOLDEN_SEED,
    LITERT_FILES,
    EngineName,
    golden_images,
)
from lentigo_contract.manifest.probabilities import Calibration
from lentigo_engines.base import Prediction
from lentigo_engines.golden_answers import check_golden, golden_answer
from lentigo_trainer.calibration.out_of_distribution import fit_detector
from lentigo_trainer.errors import MetricError
from lentigo_trainer.evaluation.exported_model import open_engine, predict_with, probabilities_of
from lentigo_trainer.export.folding import fold_batch_normalization
from lentigo_trainer.export.litert import export_litert, rounding_rows
from lentigo_trainer.export.parity import compare_engines
from lentigo_trainer.export.quantization import layers_in_float, network_of, round_to_int8
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.models.graph import steps_of
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.networks import small_mobilenet

SILENT = SilentProgress()


def pixels(n: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> Network:
    return small_mobilenet(5)


@pytest.fixture(scope="module")
def folder(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("candidate") / "files"
    export_saved_model(network, folder)
    export_litert(network, folder, pixels(14), SILENT)
    return folder


def test_folding_batch_normalization_keeps_the_outputs(network: Network) -> None:
    small = network_of(fold_batch_normalization(steps_of(network.whole)), network)
    assert not any(isinstance(each, keras.layers.BatchNormalization) for each in small.whole.layers)
    images = pixels(2).astype(np.float32)
    np.testing.assert_allclose(
        small.whole(images, training=False), network.whole(images, training=False), atol=1e-4
    )


def test_a_network_with_branches_is_not_rounded() -> None:
    image = keras.Input((224, 224, 3))
    one = keras.layers.Conv2D(2, 3, padding="same")(image)
    whole = keras.Model(image, keras.layers.Add()([one, keras.layers.ReLU()(one)]))
    branched = Network(whole=whole, backbone=whole, head=whole, feature_map="")
    assert round_to_int8(branched, pixels(1), SILENT) is branched


def test_both_models_agree_with_the_saved_model(folder: Path) -> None:
    expected = probabilities_of(folder, pixels(6, seed=1), SILENT)
    assert expected.std() > 0.01
    tolerances: dict[EngineName, float] = {"litert": 1e-5, "litert-int8": 0.05}
    for engine, tolerance in tolerances.items():
        outputs = predict_with(engine, folder, pixels(6, seed=1), SILENT)
        np.testing.assert_allclose(outputs.probabilities, expected, atol=tolerance)
        assert outputs.unlikeness is None


def test_both_models_have_the_calibration_and_ood_scores_of_the_saved_model(
    network: Network, tmp_path: Path
) -> None:
    calibration = Calibration(
        method="temperature by diagnosis",
        temperature=0.9,
        by_diagnosis=(1.3, 0.9, 1.2, 1.0, 1.6, 0.5, 1.4),
    )
    train = np.arange(6)
    detector = fit_detector(network, pixels(6), train, 0, SILENT)
    folder = tmp_path / "files"
    export_saved_model(network, folder, calibration, detector)
    export_litert(network, folder, pixels(14), SILENT, calibration, detector)
    images = np.concatenate([pixels(4, seed=1), np.full((1, 224, 224, 3), 90, np.uint8)])
    expected = predict_with("savedmodel", folder, images, SILENT)
    assert expected.unlikeness is not None
    # A plain image is further from noise than other noise is.
    assert expected.unlikeness.argmax() == 4
    tolerances: dict[EngineName, float] = {"litert": 1e-4, "litert-int8": 0.1}
    for engine, tolerance in tolerances.items():
        outputs = predict_with(engine, folder, images, SILENT)
        assert outputs.unlikeness is not None
        assert outputs.unlikeness.dtype == np.float32
        np.testing.assert_allclose(outputs.unlikeness, expected.unlikeness, rtol=tolerance)
        np.testing.assert_allclose(outputs.probabilities, expected.probabilities, atol=tolerance)


def test_in_int8_the_first_layer_and_depthwise_ones_stay_in_float32(
    network: Network, folder: Path
) -> None:
    model = Interpreter(model_path=str(folder / LITERT_FILES["litert-int8"]))
    kinds = {
        layer: {
            each["dtype"]
            for each in model.get_tensor_details()
            if re.search(rf"/{layer}(_\d+)?/", each["name"])
        }
        for layer in ("stem", "deep", "wide")
    }
    assert layers_in_float(network.whole) == ("stem", "deep")
    assert np.float32 in kinds["stem"]
    assert np.int8 not in kinds["deep"]
    assert np.int8 in kinds["wide"]


def test_no_other_files_are_left(folder: Path) -> None:
    assert {path.name for path in (folder / "litert").iterdir()} == {
        "float32.tflite",
        "int8.tflite",
    }
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_agreement_and_golden_predictions_come_from_each_model(folder: Path) -> None:
    images, truth = pixels(7, seed=2), np.arange(7)
    reference = predict_with("savedmodel", folder, images, SILENT)
    parity = compare_engines(folder, images, truth, reference, None, SILENT)
    assert set(parity.agreement) == {"litert", "litert-int8"}
    assert parity.agreement["litert"].shortfall() is None
    assert parity.agreement["litert"].images == 7
    assert {each.probabilities.shape for each in parity.predictions.values()} == {(7, 7)}
    assert parity.standing_in()["litert"] is parity.predictions["litert"]
    assert set(parity.golden.answers) == {"savedmodel", "litert", "litert-int8"}
    synthetic = golden_images(GOLDEN_SEED, GOLDEN_IMAGES)
    np.testing.assert_allclose(
        parity.golden.answers["savedmodel"].probabilities,
        probabilities_of(folder, synthetic, SILENT),
        atol=1e-6,
    )
    for engine in ("litert", "litert-int8"):
        with closing(open_engine(engine, folder)) as opened:
            check_golden(opened, parity.golden)


def test_the_tolerance_of_int8_is_what_the_reference_kernels_are_off(folder: Path) -> None:
    synthetic = golden_images(GOLDEN_SEED, GOLDEN_IMAGES)
    plain, reference = (
        predict_with("litert-int8", folder, synthetic, SILENT, reference_kernels=kernels)
        for kernels in (False, True)
    )
    off = float(np.abs(reference.probabilities - plain.probabilities).max())
    assert 0 < off < 0.01
    recorded = golden_answer("litert-int8", plain, reference).tolerance
    assert recorded == pytest.approx(max(2 * off, 0.002), rel=1e-3)


def test_a_network_with_nan_outputs_is_refused(network: Network, tmp_path: Path) -> None:
    broken = keras.models.clone_model(network.whole)
    broken.layers[-1].bias.assign(np.full(len(CODES), np.nan))
    folder = tmp_path / "files"
    poisoned = Network(whole=broken, backbone=broken, head=broken, feature_map="last")
    export_saved_model(poisoned, folder)
    export_litert(poisoned, folder, pixels(7), SILENT)
    images, truth = pixels(2), np.array([0, 1])
    reference = Prediction(np.full((2, 7), 1 / 7, np.float32), np.zeros((2, 1, 1, 7), np.float32))
    with pytest.raises(MetricError, match="not a number"):
        compare_engines(folder, images, truth, reference, None, SILENT)


def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / LITERT_FILES["litert"]
    file.parent.mkdir()
    file.write_bytes(b"not a model")
    with pytest.raises(DamagedVersionError, match=r"float32\.tflite"):
        predict_with("litert", tmp_path, pixels(1), SILENT)


def test_rounding_rows_cycle_through_the_classes_of_training_images() -> None:
    labels = np.array([0] * 50 + [1] * 3 + [2] * 50)
    train = np.setdiff1d(np.arange(103), [0, 51, 60])
    rows = rounding_rows(labels, train, seed=1)
    assert set(rows) <= set(train)
    assert len(set(rows)) == len(rows) == 20 + 2 + 20
    assert labels[rows][:6].tolist() == [0, 1, 2, 0, 1, 2]
    assert (rounding_rows(labels, train, seed=1) == rows).all()
    assert (rounding_rows(labels, train, seed=2) != rows).any()
