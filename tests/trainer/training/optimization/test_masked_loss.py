import keras
import numpy as np
import numpy.typing as npt
import pytest

from lentigo_contract.labels import CODES
from lentigo_trainer.training.optimization.losses import (
    adjusted_cross_entropy,
    label_of,
    masked_cross_entropy,
)

ALL = np.ones(7, bool)
THREE = np.array([code in {"bkl", "mel", "nv"} for code in CODES])
SHARES = np.array([0.05, 0.1, 0.15, 0.05, 0.2, 0.4, 0.05])
OF_THREE = np.where(THREE, SHARES, 0) / SHARES[THREE].sum()
MEL, NV = CODES.index("mel"), CODES.index("nv")

Floats = npt.NDArray[np.float64]


def packed(*halves: tuple[int, int, float]) -> npt.NDArray[np.float32]:
    """One target of two halves: class, source, weight."""
    target = np.zeros((1, 2, 8), np.float32)
    for half, (label, source, weight) in enumerate(halves):
        target[0, half, label] = weight
        target[0, half, 7] = source
    return target


def loss_of(
    targets: npt.NDArray[np.float32], logits: Floats, strength: float = 1, smoothing: float = 0
) -> float:
    loss = masked_cross_entropy(
        np.stack([SHARES, OF_THREE]), np.stack([ALL, THREE]), strength, smoothing
    )
    return float(loss(keras.ops.convert_to_tensor(targets), logits.astype(np.float32)))


def logits(seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(1, 7)) * 3


def test_an_image_of_ham10000_has_the_same_loss_as_without_sets() -> None:
    plain = adjusted_cross_entropy(SHARES, 1, 0.05)
    truth = np.eye(7, dtype=np.float32)[[MEL]]
    expected = float(plain(truth, logits().astype(np.float32)))
    found = loss_of(packed((MEL, 0, 1.0), (NV, 1, 0.0)), logits(), smoothing=0.05)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_a_set_does_not_know_does_not_change_the_loss_of_its_images(smoothing: float) -> None:
    target = packed((MEL, 1, 1.0), (MEL, 1, 0.0))
    changed = np.where(THREE, logits(), logits(1) * 10)
    before, after = (loss_of(target, each, smoothing=smoothing) for each in (logits(), changed))
    assert before == pytest.approx(after, rel=1e-5)


def test_it_is_the_softmax_over_the_known_classes_with_the_sets_own_prior() -> None:
    adjusted = logits()[0, THREE] + np.log(OF_THREE[THREE])
    expected = np.log(np.exp(adjusted).sum()) - (logits()[0, MEL] + np.log(OF_THREE[MEL]))
    found = loss_of(packed((MEL, 1, 1.0), (MEL, 1, 0.0)), logits())
    assert found == pytest.approx(expected, rel=1e-4)


def test_no_gradient_reaches_a_class_that_the_set_does_not_know() -> None:
    import tensorflow as tf

    variable = tf.Variable(logits().astype(np.float32))
    loss = masked_cross_entropy(np.stack([SHARES, OF_THREE]), np.stack([ALL, THREE]), 1, 0.1)
    with tf.GradientTape() as tape:
        value = loss(packed((MEL, 1, 1.0), (NV, 1, 0.0)), variable)
    gradient = tape.gradient(value, variable).numpy()[0]
    assert not gradient[~THREE].any()
    assert gradient[THREE].all()


def test_a_blend_of_two_sources_is_the_weighted_sum_of_their_losses() -> None:
    of_ham = loss_of(packed((0, 0, 1.0), (0, 0, 0.0)), logits())
    of_set = loss_of(packed((MEL, 1, 1.0), (MEL, 1, 0.0)), logits())
    blend = loss_of(packed((0, 0, 0.7), (MEL, 1, 0.3)), logits())
    assert blend == pytest.approx(0.7 * of_ham + 0.3 * of_set, rel=1e-5)


def test_the_label_is_the_class_that_weighs_most() -> None:
    targets = np.concatenate(
        [packed((0, 0, 0.6), (MEL, 1, 0.4)), packed((NV, 1, 0.5), (NV, 0, 0.5))]
    )
    assert np.asarray(label_of(targets)).tolist() == [0, NV]
    assert np.asarray(label_of(np.eye(7)[[MEL, NV]])).tolist() == [MEL, NV]
