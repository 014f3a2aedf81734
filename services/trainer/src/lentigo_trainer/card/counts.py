"""Shares as counts: how large a failure is."""

from lentigo_trainer.evaluation.bootstrap import Figure


def count_of(figure: Figure) -> int:
    """How many examples a share speaks of; 0 where it is undefined."""
    return round((figure.value or 0.0) * figure.n)


def of_text(figure: Figure) -> str:
    """Write a share as a count: "17 of 39"."""
    return f"{count_of(figure):,} of {figure.n:,}"
