import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lentigo_trainer.export.int8_kernels import with_int8_kernels
from lentigo_trainer.export.litert import float32_model
from lentigo_trainer.export.quantization import layers_in_float
from lentigo_trainer.export.saved_model import export_saved_model
from tests.trainer.networks import small_inverted_residuals

IN_FLOAT = ("stem", "block_0_depthwise", "block_0_project", "block_1_depthwise")


@pytest.fixture(scope="module")
def float32(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("int8-kernels") / "files"
    export_saved_model(small_inverted_residuals(3), folder)
    return float32_model(folder)


def probabilities(model: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    interpreter = Interpreter(model_content=model, num_threads=1)
    run = interpreter.get_signature_runner("serving_default")
    found: NDArray[np.float32] = run(image=images)["probabilities"]
    return found


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def test_what_opens_a_stage_stays_in_float32_beside_the_first_and_depthwise_ones() -> None:
    assert layers_in_float(small_inverted_residuals(3).whole) == IN_FLOAT


def test_answers_change_by_little_and_kernels_take_a_byte_a_weight(float32: bytes) -> None:
    rounded = with_int8_kernels(float32, IN_FLOAT)
    exact, near = (probabilities(each, images(4)) for each in (float32, rounded))
    assert 0 < np.abs(near - exact).max() < 0.02
    assert len(rounded) < len(float32)


def test_only_the_named_layers_stay_in_float32(float32: bytes) -> None:
    def constants(model: bytes) -> set[tuple[tuple[int, ...], int]]:
        return {
            (tuple(each["shape"]), each["quantization_parameters"]["scales"].size)
            for each in Interpreter(model_content=model).get_tensor_details()
            if each["dtype"] is np.int8
        }

    assert not constants(float32)
    some, all_of_them = (constants(with_int8_kernels(float32, each)) for each in (IN_FLOAT, ()))
    assert some < all_of_them
    # A scale for each output channel, the first dimension.
    assert all(shape[0] == scales for shape, scales in all_of_them)


def test_an_image_has_the_same_answer_alone_and_among_others(float32: bytes) -> None:
    """The scale of what enters a convolution is each image's own."""
    rounded = with_int8_kernels(float32, IN_FLOAT)
    batch = np.concatenate([images(1, seed=1), np.full((1, 224, 224, 3), 255, np.uint8)])
    alone = probabilities(rounded, batch[:1])
    np.testing.assert_array_equal(probabilities(rounded, batch)[:1], alone)


def test_kernels_that_int8_holds_keep_their_values(float32: bytes) -> None:
    once = with_int8_kernels(float32, IN_FLOAT)
    held = {tuple(each) for each in _dequantised(once)}
    assert {tuple(each) for each in _dequantised(with_int8_kernels(once, IN_FLOAT))} == held


def _dequantised(model: bytes) -> list[NDArray[np.float64]]:
    interpreter = Interpreter(model_content=model)
    return [
        (
            interpreter.get_tensor(each["index"]).reshape(each["shape"][0], -1).astype(np.float64)
            * each["quantization_parameters"]["scales"][:, None]
        ).ravel()
        for each in interpreter.get_tensor_details()
        if each["dtype"] is np.int8
    ]
