from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.data.extra.training_images import ExtraImages
from lentigo_trainer.data.random_augmentation import mix
from lentigo_trainer.data.sampling import class_shares, epoch_rows
from lentigo_trainer.training.fine_tuning.extra_examples import ExtraSampling, packed_targets
from tests.trainer.data.extra.made_up_set import extra_images

SETTINGS = FineTuning(extra_share=0.25, class_power=0.5)


@pytest.fixture(scope="module")
def extra(tmp_path_factory: pytest.TempPathFactory) -> ExtraImages:
    return extra_images(tmp_path_factory.mktemp("sets"), {"nv": 6, "mel": 3}, {"nv": 4, "bkl": 2})


def test_extra_images_come_on_top_of_ham10000s_and_make_up_their_share(extra: ExtraImages) -> None:
    labels = np.repeat(np.arange(7), 20)
    before = epoch_rows(labels, class_shares(labels, 0.5), 90, seed=5)
    sampling = ExtraSampling.of(len(labels), extra, SETTINGS)
    drawn = sampling.add_to(before, seed=5)
    of_ham = drawn[drawn < len(labels)]
    assert sorted(of_ham) == sorted(before)
    assert len(drawn) - len(of_ham) == round(len(before) / 3)
    assert drawn.tolist() == sampling.add_to(before, seed=5).tolist()
    assert drawn.tolist() != sampling.add_to(before, seed=6).tolist()


def test_no_share_draws_no_extra_image(extra: ExtraImages) -> None:
    none = SETTINGS.model_copy(update={"extra_share": 0.0})
    rows = np.arange(8)
    assert sorted(ExtraSampling.of(8, extra, none).add_to(rows, seed=1)) == rows.tolist()


def test_every_row_knows_its_label_space_and_aspect(extra: ExtraImages) -> None:
    sampling = ExtraSampling.of(10, extra, SETTINGS)
    rows = np.array([3, 10, 10 + len(extra.labels) - 1])
    assert sampling.spaces(rows).tolist() == [0, 1, 2]
    assert sampling.aspects(rows) == pytest.approx([4 / 3, 64 / 48, 64 / 48])


def test_a_set_with_fewer_diagnoses_is_adjusted_by_how_often_its_own_are_drawn(
    extra: ExtraImages,
) -> None:
    natural = np.array([0.05, 0.1, 0.15, 0.05, 0.2, 0.4, 0.05])
    shares = ExtraSampling.of(10, extra, SETTINGS).shares_by_space(natural)
    assert shares[0] == pytest.approx(natural)
    assert shares.sum(axis=1) == pytest.approx([1, 1, 1])
    assert ((shares[1:] > 0) == extra.known).all()
    nevus, melanoma = index_of("nv"), index_of("mel")
    drawn = class_shares(extra.labels, 0.5)
    # Six of the ten nevi are in the first set, and all melanomas.
    assert shares[1, nevus] / shares[1, melanoma] == pytest.approx(
        drawn[nevus] * 0.6 / drawn[melanoma]
    )


def test_a_set_that_knows_all_seven_is_one_population_with_ham10000(extra: ExtraImages) -> None:
    known = extra.known.copy()
    known[1] = True
    natural = np.full(7, 1 / 7)
    sampling = ExtraSampling.of(10, replace(extra, known=known), SETTINGS)
    assert sampling.spaces(10 + np.flatnonzero(extra.sets == 1)).tolist() == [0] * 6
    shares = sampling.shares_by_space(natural)
    assert len(shares) == 2
    assert shares[0, index_of("bkl")] > 1 / 7 > shares[0, index_of("df")] > 0


def test_packed_targets_hold_what_mixing_blends() -> None:
    own = tf.one_hot(tf.constant([1, 5, 4]), len(CODES))
    weights = tf.constant([0.75, 1.0, 0.5])
    packed = packed_targets(own, tf.constant([0, 2, 1]), weights).numpy()
    _, targets = mix(tf.zeros((3, 2, 2, 3)), own, weights)
    assert packed[..., :7].sum(axis=1) == pytest.approx(targets.numpy())
    assert packed[..., 7].tolist() == [[0, 1], [2, 2], [1, 0]]


def test_images_are_read_in_the_order_that_is_asked_for(extra: ExtraImages) -> None:
    rows = np.array([len(extra.labels) - 1, 0, 3])
    taken = extra.take(rows)
    one_by_one = np.concatenate([extra.take(np.array([row])) for row in rows])
    assert taken.dtype == np.float32
    assert np.array_equal(taken, one_by_one)
