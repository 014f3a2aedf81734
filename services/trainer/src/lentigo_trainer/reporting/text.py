"""Estimates as text: a value with its interval and its n, or why there is none."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from lentigo_contract.labels import CODES
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.metrics.bootstrap import Estimate

NOT_MEASURED: Final = "not measured"

Row = tuple[str, str, str, str]
"""What is measured, the figure with its 95 % interval, n, and what always answering the most
frequent class would come to ("-" where that says nothing)."""


def share_text(figure: Estimate) -> str:
    """Write a share: "89.8 % (87.7 to 91.7)", "undefined", "50.0 % (no interval)"."""
    return _text(figure, lambda value: f"{100 * value:.1f}", " %")


def number_text(figure: Estimate) -> str:
    """Write a figure that is no share: "0.934 (0.911 to 0.955)"."""
    return _text(figure, lambda value: f"{value:.3f}", "")


def points_text(figure: Estimate) -> str:
    """Write a difference of shares: "+14.2 points (+10.1 to +18.3)"."""
    return _text(figure, lambda value: f"{100 * value:+.1f}", " points")


def change_text(figure: Estimate) -> str:
    """Write a difference of figures that are no shares: "-0.034 (-0.051 to -0.016)"."""
    return _text(figure, lambda value: f"{value:+.3f}", "")


def count_of(share: Estimate) -> int:
    """Return how many examples a share speaks of; 0 where it is undefined."""
    return round((share.value or 0.0) * share.n)


def count_text(share: Estimate) -> str:
    """Write a share as a count: "17 of 39"."""
    return f"{count_of(share):,} of {share.n:,}"


def threshold_text(threshold: float) -> str:
    """Write a threshold, 0..1, with three digits that count: "0.3", "0.0000547"."""
    # It can lie below a tenth of a per mille, where fixed decimals would say 0.
    return np.format_float_positional(threshold, precision=3, fractional=False, trim="-")


def temperatures_text(by_diagnosis: Sequence[float]) -> str:
    """Write each diagnosis' temperature behind its code."""
    pairs = zip(CODES, by_diagnosis, strict=True)
    return ", ".join(f"{code} {temperature:.2f}" for code, temperature in pairs)


def overall_rows(result: Evaluation) -> list[Row]:
    """Return the metrics of the whole classifier, each beside its baseline."""
    classes = len(result.averaged_over)
    of_all = "" if classes == len(CODES) else f" (over {classes} of {len(CODES)} classes)"
    by_chance = f"{0.5:.3f}"
    shares = (
        ("Accuracy", result.accuracy, share_text(result.majority_baseline)),
        (f"Balanced accuracy{of_all}", result.balanced_accuracy, f"{100 / classes:.1f} %"),
        ("Melanoma sensitivity", result.melanoma_sensitivity, _recall_of("mel", result)),
    )
    numbers = (
        ("AUC, malignant against benign", result.malignant_auc, by_chance),
        (f"AUC, mean of one against rest{of_all}", result.macro_auc, by_chance),
        ("Expected calibration error", result.expected_calibration_error, "-"),
        ("Brier score, 0 to 2", result.brier, "-"),
        ("Log loss, nats", result.log_loss, "-"),
    )
    return [
        *((name, share_text(figure), f"{figure.n:,}", base) for name, figure, base in shares),
        *((name, number_text(figure), f"{figure.n:,}", base) for name, figure, base in numbers),
    ]


def probable_rows(result: Evaluation) -> list[Row]:
    """Return the metrics of the most probable diagnosis, however the diagnosis was decided."""
    found = result.most_probable or result
    shares = (
        ("accuracy", found.accuracy, share_text(result.majority_baseline)),
        (
            "balanced accuracy",
            found.balanced_accuracy,
            f"{100 / len(result.averaged_over):.1f} %",
        ),
        ("melanoma sensitivity", found.melanoma_sensitivity, _recall_of("mel", result)),
    )
    return [
        (f"Most probable diagnosis: {name}", share_text(figure), f"{figure.n:,}", base)
        for name, figure, base in shares
    ]


def all_rows(result: Evaluation) -> list[Row]:
    """Return every metric of the classifier: as decided, of the most probable, of malignancy."""
    error = result.malignant_calibration_error
    return [
        *overall_rows(result),
        *([] if result.most_probable is None else probable_rows(result)),
        *(
            []
            if error is None
            else [("Calibration error of malignancy", number_text(error), f"{error.n:,}", "-")]
        ),
    ]


def class_rows(result: Evaluation) -> list[tuple[str, str, str, str, str, str]]:
    """Return for each class: code, n, recall, precision, answers naming it, and AUC."""
    return [
        (
            code,
            f"{found.recall.n:,}",
            share_text(found.recall),
            share_text(found.precision),
            f"{found.precision.n:,}",
            number_text(found.auc),
        )
        for code, found in result.classes.items()
    ]


def reasons(result: Evaluation) -> list[str]:
    """Explain why metrics or intervals are missing, one sentence each."""
    named = {"Melanoma sensitivity": result.melanoma_sensitivity}
    named["Balanced accuracy"] = result.balanced_accuracy
    named["AUC, malignant against benign"] = result.malignant_auc
    named["AUC, mean of one against rest"] = result.macro_auc
    for code, found in result.classes.items():
        named[f"Recall of {code}"] = found.recall
        if found.recall.n:
            named |= {f"Precision of {code}": found.precision, f"AUC of {code}": found.auc}
    return [f"{name}: {figure.reason}" for name, figure in named.items() if figure.reason]


def _recall_of(code: str, result: Evaluation) -> str:
    return "100.0 %" if result.majority == code else "0.0 %"


def _text(figure: Estimate, write: Callable[[float], str], unit: str) -> str:
    if figure.value is None:
        return "undefined"
    if figure.low is None or figure.high is None:
        return f"{write(figure.value)}{unit} (no interval)"
    return f"{write(figure.value)}{unit} ({write(figure.low)} to {write(figure.high)})"
