"""Balanced accuracy, held to the formula of `isic-challenge-scoring`.

The package itself cannot be a requirement: its last release is of March 2022, its CSV reader calls
a method that pandas 3 has dropped, and it needs zipfile-deflate64, which has no wheel for our
Pythons. So its formula stands here, after `metrics.py` of version 5.6.0 (Apache 2.0): the diagonal
of the confusion matrix by the true frequencies, averaged over the categories that have any.
"""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from lentigo_contract.labels import CODES
from lentigo_trainer.metrics.classification import balanced_accuracy
from tests.trainer.metrics.made_up_answers import SHARES, made_up_answers


def isic_balanced_accuracy(truth: pd.DataFrame, prediction: pd.DataFrame) -> float:
    """The challenge's score of two tables of probabilities, [n, 7] each."""
    labels = [table.idxmax(axis="columns") for table in (truth, prediction)]
    matrix = sklearn.metrics.confusion_matrix(*labels, labels=truth.columns)
    hits = pd.Series(matrix.diagonal(), index=truth.columns)
    frequencies = labels[0].value_counts().reindex(truth.columns, fill_value=0)
    # Without an example 0 / 0 is NaN, which `mean` leaves out.
    return float(hits.divide(frequencies).mean())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shares", [SHARES, (0.0, 0.2, 0.1, 0.0, 0.3, 0.4, 0.0)])
def test_balanced_accuracy_is_the_challenges(seed: int, shares: tuple[float, ...]) -> None:
    truth, probabilities, _ = made_up_answers(seed, shares=shares)
    columns = [code.upper() for code in CODES]
    tables = (pd.DataFrame(np.eye(7)[truth]), pd.DataFrame(probabilities))
    for table in tables:
        table.columns = pd.Index(columns)
    assert balanced_accuracy(truth, probabilities) == pytest.approx(isic_balanced_accuracy(*tables))
