import numpy as np
import pytest

from lentigo_trainer.data.sampling import class_shares, epoch_rows, extra_count

LABELS = np.repeat(np.arange(7), [4, 9, 16, 1, 25, 100, 2])


def test_square_root_shares_lie_between_natural_and_balanced_ones() -> None:
    counts = np.bincount(LABELS)
    assert class_shares(LABELS, 1.0) == pytest.approx(counts / counts.sum())
    assert class_shares(LABELS, 0.0) == pytest.approx(np.full(7, 1 / 7))
    assert class_shares(LABELS, 0.5) == pytest.approx(np.sqrt(counts) / np.sqrt(counts).sum())


def test_a_class_without_an_image_is_never_drawn() -> None:
    labels = np.array([0, 0, 1])
    shares = class_shares(labels, 0.0)
    assert shares.tolist() == [0.5, 0.5, 0, 0, 0, 0, 0]
    assert set(labels[epoch_rows(labels, shares, 10, seed=0)]) == {0, 1}


def test_an_epoch_shows_each_class_in_its_share() -> None:
    drawn = epoch_rows(LABELS, class_shares(LABELS, 0.5), 1_000, seed=3)
    shown = np.bincount(LABELS[drawn], minlength=7)
    assert np.abs(shown - 1_000 * class_shares(LABELS, 0.5)).max() <= 0.5


def test_no_image_is_drawn_again_before_all_of_its_class() -> None:
    drawn = epoch_rows(LABELS, class_shares(LABELS, 0.5), 300, seed=3)
    for label in range(7):
        times = np.bincount(drawn, minlength=len(LABELS))[label == LABELS]
        assert times.max() - times.min() <= 1


def test_the_seed_decides_what_is_drawn() -> None:
    shares = class_shares(LABELS, 0.5)
    first, again, other = (epoch_rows(LABELS, shares, 50, seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(("share", "extra"), [(0.0, 0), (0.25, 100), (0.5, 300)])
def test_extra_images_on_top_make_up_their_share_of_the_whole(share: float, extra: int) -> None:
    assert extra_count(300, share) == extra
