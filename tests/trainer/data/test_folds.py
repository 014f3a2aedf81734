import numpy as np
import pandas as pd
import pytest

from lentigo_contract.labels import CODES
from lentigo_trainer.data.oversampling import originals
from lentigo_trainer.data.splits import Split, TrainingRows, folds_of, rows_without_fold
from lentigo_trainer.errors import MetadataError


def table(lesions: int = 23) -> pd.DataFrame:
    """Lesions of each diagnosis, every third with three images."""
    rows = [
        (f"HAM_{code}_{number:03}", f"image_{code}_{number}_{image}", code)
        for code in CODES
        for number in range(lesions)
        for image in range(3 if number % 3 == 0 else 1)
    ]
    return pd.DataFrame(rows, columns=["lesion_id", "image_id", "dx"])


def test_every_image_is_in_one_fold_and_no_lesion_in_two() -> None:
    records = table()
    train = np.arange(len(records))[::2]
    folds = folds_of(train, records, 5)
    assert (folds.rows == train).all()
    assert set(folds.fold) == {1, 2, 3, 4, 5}
    of_lesion = pd.Series(folds.fold).groupby(records["lesion_id"].to_numpy()[train]).nunique()
    assert (of_lesion == 1).all()


def test_every_fold_has_its_share_of_the_lesions_of_every_diagnosis() -> None:
    records = table()
    folds = folds_of(np.arange(len(records)), records, 5)
    lesions = records.assign(fold=folds.fold).drop_duplicates("lesion_id")
    counts = lesions.groupby(["dx", "fold"]).size()
    assert counts.min() >= 23 // 5
    assert counts.max() <= 23 // 5 + 1
    sizes = lesions.groupby("fold").size()
    assert sizes.max() - sizes.min() <= 1


def test_the_folds_do_not_depend_on_the_order_of_the_images() -> None:
    records = table()
    shuffled = records.sample(frac=1, random_state=3).reset_index(drop=True)
    first, second = (folds_of(np.arange(len(each)), each, 4).fold for each in (records, shuffled))
    fold_of = dict(zip(records["image_id"], first, strict=True))
    assert [fold_of[name] for name in shuffled["image_id"]] == second.tolist()


def test_known_duplicates_are_in_one_fold() -> None:
    # One of the pairs that the package lists, under the lesion ids of HAM10000.
    pair = pd.DataFrame(
        [("HAM_0007604", "ISIC_0027027", "nv"), ("HAM_0000955", "ISIC_0029036", "nv")],
        columns=["lesion_id", "image_id", "dx"],
    )
    for seed in range(5):
        records = pd.concat([table(5 + seed), pair], ignore_index=True)
        fold = folds_of(np.arange(len(records)), records, 5).fold
        assert fold[-1] == fold[-2]


def test_a_diagnosis_with_fewer_lesions_than_folds_is_named() -> None:
    records = table(6)
    records = records[(records["dx"] != "df") | records["lesion_id"].str.endswith("001")]
    with pytest.raises(MetadataError, match="5 lesions of df"):
        folds_of(np.arange(len(records)), records.reset_index(drop=True), 5)


def test_a_network_of_a_fold_trains_on_all_others_and_is_evaluated_on_its_own() -> None:
    records = table()
    labels = np.array([CODES.index(code) for code in records["dx"]])
    train = np.arange(len(records))[records["lesion_id"].str[-3:] < "020"]
    validation = np.setdiff1d(np.arange(len(records)), train)
    none = np.array([], np.intp)
    folds = folds_of(train, records, 5)
    rows = TrainingRows(
        Split(train, validation),
        Split(train, validation),
        originals(train, labels),
        tuning=none,
        hold_out=none,
        folds=folds,
    )
    third = rows_without_fold(rows, labels, 3)
    assert set(third.used.train) == set(train[folds.fold != 3])
    assert (third.plan.source == third.used.train).all()
    assert (third.plan.label == labels[third.used.train]).all()
    assert set(third.watched) == set(train[folds.fold == 3])
    assert (third.used.validation == validation).all()
