"""The shipped alert rules, evaluated on one scrape.

Of PromQL only what these rules are made of: comparisons of a series with a number, joined by `or`.
"""

import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml

from tests.inference.observability.scraping import Scrape

RULES: Final = Path(__file__).parents[3] / "deploy/prometheus/alerts.yml"

_COMPARISON: Final = re.compile(r'(\w+)\{(\w+)="(\w+)"\} ([<>]) (-?[\d.]+)')
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {"<": operator.lt, ">": operator.gt}


def firing(scrape: Scrape, *names: str) -> set[str]:
    """Return which of these alerts would fire, if what was scraped stayed so."""
    rules = {
        rule["alert"]: rule["expr"]
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
    }
    return {name for name in names if _holds(rules[name], scrape)}


def _holds(expression: str, scrape: Scrape) -> bool:
    return any(_compares(part, scrape) for part in expression.strip().split("\nor "))


def _compares(comparison: str, scrape: Scrape) -> bool:
    found = _COMPARISON.fullmatch(comparison.strip())
    assert found is not None, comparison
    metric, label, value, compare, bound = found.groups()
    samples = scrape.found(metric, **{label: value})
    return any(_COMPARE[compare](sample.value, float(bound)) for sample in samples)
