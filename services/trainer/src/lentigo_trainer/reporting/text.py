"""Estimates as text: a value with its interval and its n, or why there is none."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from lentigo_contract.labels import CODES
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.metrics.out_of_fold import OutOfFoldMetrics

NOT_MEASURED: Final = "not measured"

WITHOUT_DUPLICATES: Final = "- without known duplicates"

_NUMBERS: Final = frozenset(
    {
        "malignant_auc",
        "malignant_calibration_error",
        "expected_calibration_error",
        "log_loss",
    }
)
"""Out-of-fold metrics that are no shares."""

_OUT_OF_FOLD: Final = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "probable balanced_accuracy": "Most probable diagnosis: balanced accuracy",
    "probable accuracy": "Most probable diagnosis: accuracy",
    "malignant_auc": "AUC, malignant against benign",
    "malignant_calibration_error": "Calibration error of malignancy",
    "expected_calibration_error": "Expected calibration error",
    "log_loss": "Log loss, nats",
    "referral sensitivity": "Referral: malignant images referred",
    "referral specificity": "Referral: benign images not referred",
}

Row = tuple[str, str, str, str]
"""Name of a metric, its estimate with the 95 % interval, n, and the value of always answering the
most frequent class ("-" where there is none)."""


def share_text(estimate: Estimate) -> str:
    """Write a share: "89.8 % (87.7 to 91.7)", "undefined", "50.0 % (no interval)"."""
    return _text(estimate, lambda value: f"{100 * value:.1f}", " %")


def number_text(estimate: Estimate) -> str:
    """Write a number that is not a share: "0.934 (0.911 to 0.955)"."""
    return _text(estimate, lambda value: f"{value:.3f}", "")


def points_text(estimate: Estimate) -> str:
    """Write a difference of shares: "+14.2 points (+10.1 to +18.3)"."""
    return _text(estimate, lambda value: f"{100 * value:+.1f}", " points")


def change_text(estimate: Estimate) -> str:
    """Write a difference of numbers: "-0.034 (-0.051 to -0.016)"."""
    return _text(estimate, lambda value: f"{value:+.3f}", "")


def count_of(share: Estimate) -> int:
    """Return the number of examples of a share; 0 if it is undefined."""
    return round((share.value or 0.0) * share.n)


def count_text(share: Estimate) -> str:
    """Write a share as a count: "17 of 39"."""
    return f"{count_of(share):,} of {share.n:,}"


def threshold_text(threshold: float) -> str:
    """Write a threshold, 0..1, with three significant digits: "0.3", "0.0000547"."""
    # It can be below 0.0001, which fixed decimals would round to 0.
    return np.format_float_positional(threshold, precision=3, fractional=False, trim="-")


def by_code_text(values: Sequence[float]) -> str:
    """Write the code of each diagnosis with its number, such as a temperature."""
    pairs = zip(CODES, values, strict=True)
    return ", ".join(f"{code} {value:.2f}" for code, value in pairs)


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
        *((name, share_text(estimate), f"{estimate.n:,}", base) for name, estimate, base in shares),
        *(
            (name, number_text(estimate), f"{estimate.n:,}", base)
            for name, estimate, base in numbers
        ),
    ]


def probable_rows(result: Evaluation) -> list[Row]:
    """Return the metrics of the most probable diagnosis, however the diagnosis was decided."""
    metrics = result.most_probable or result
    shares = (
        ("accuracy", metrics.accuracy, share_text(result.majority_baseline)),
        (
            "balanced accuracy",
            metrics.balanced_accuracy,
            f"{100 / len(result.averaged_over):.1f} %",
        ),
        ("melanoma sensitivity", metrics.melanoma_sensitivity, _recall_of("mel", result)),
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


def rows_with_rest(result: Evaluation) -> list[Row]:
    """Return `all_rows`, each followed by the same without known duplicates, if any."""
    rest = result.without_known_duplicates
    if rest is None:
        return all_rows(result)
    pairs = zip(all_rows(result), all_rows(rest), strict=True)
    return [
        row
        for whole, (_, value, n, baseline) in pairs
        for row in (whole, (WITHOUT_DUPLICATES, value, n, baseline))
    ]


def class_rows(result: Evaluation) -> list[tuple[str, str, str, str, str, str]]:
    """Return for each class its code, n, recall, precision, answers naming it, and AUC."""
    return [
        (
            code,
            f"{metrics.recall.n:,}",
            share_text(metrics.recall),
            share_text(metrics.precision),
            f"{metrics.precision.n:,}",
            number_text(metrics.auc),
        )
        for code, metrics in result.classes.items()
    ]


def out_of_fold_rows(found: OutOfFoldMetrics) -> list[tuple[str, str, str]]:
    """Return the name, the estimate and n of every out-of-fold metric."""
    rows = []
    for name, estimate in found.metrics.items():
        words = _OUT_OF_FOLD.get(name, name.capitalize())
        text = number_text if name in _NUMBERS else share_text
        rows.append((words, text(estimate), f"{estimate.n:,}"))
    return rows


def reasons(result: Evaluation) -> list[str]:
    """Explain why metrics or intervals are missing, one sentence each."""
    estimates = {"Melanoma sensitivity": result.melanoma_sensitivity}
    estimates["Balanced accuracy"] = result.balanced_accuracy
    estimates["AUC, malignant against benign"] = result.malignant_auc
    estimates["AUC, mean of one against rest"] = result.macro_auc
    for code, metrics in result.classes.items():
        estimates[f"Recall of {code}"] = metrics.recall
        if metrics.recall.n:
            estimates |= {f"Precision of {code}": metrics.precision, f"AUC of {code}": metrics.auc}
    return [f"{name}: {estimate.reason}" for name, estimate in estimates.items() if estimate.reason]


def _recall_of(code: str, result: Evaluation) -> str:
    return "100.0 %" if result.majority == code else "0.0 %"


def _text(estimate: Estimate, write: Callable[[float], str], unit: str) -> str:
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{write(estimate.value)}{unit} (no interval)"
    return f"{write(estimate.value)}{unit} ({write(estimate.low)} to {write(estimate.high)})"
