"""From which unlikeness on a picture gets no diagnosis."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import MetricError
from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import UnlikenessLimit

REFUSED_SHARE: Final = 0.0075
"""Of images that are lesions, at most three in 400 may be refused where the limit is chosen; other
lesions are refused a little more often, and the service may refuse 2 % for any reason."""


def choose_limit(
    told: Mapping[EngineName, npt.NDArray[np.floating]],
    method: str,
    chosen_on: str,
    share: float = REFUSED_SHARE,
) -> UnlikenessLimit:
    """Find the lowest limit that refuses no more than a share of some lesions, by any engine.

    A version has one limit, whichever engine answers, so the largest of the engines' own is taken.

    Args:
        told: the unlikeness of the same n images, float [n], by each engine that may serve.
        method: what unlikeness is, in words.
        chosen_on: the images, in words; they should not have trained the network.
        share: that may be refused, 0 and above, below 1.

    Raises:
        MetricError: no engine, no images, an unlikeness that is no number or below 0, an
            impossible share, or no limit above 0.
    """
    if not 0 <= share < 1:
        raise MetricError(f"A share of {share} cannot be refused; it lies in [0, 1).")
    if not told:
        raise MetricError("A limit of unlikeness takes the answers of at least one engine.")
    values = {engine: _checked(each) for engine, each in told.items()}
    limit = max(_own_limit(each, share) for each in values.values())
    if not limit > 0:
        raise MetricError("Unlikeness is 0 for nearly every image, so it tells nothing.")
    did = "; ".join(
        f"{engine}: {np.count_nonzero(each > limit)} of {each.size} above it"
        for engine, each in values.items()
    )
    return UnlikenessLimit(
        limit=limit,
        method=method,
        source=f"lowest limit that refuses at most {share:.2%} by each engine named here, "
        f"on {chosen_on}; {did}",
    )


def _checked(told: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    values = np.asarray(told, np.float64)
    if values.ndim != 1 or not values.size:
        raise MetricError(f"Unlikeness has shape {values.shape}; expected one for each image.")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise MetricError(
            "An unlikeness is no number, or below 0. Check that training did not diverge."
        )
    return values


def _own_limit(values: npt.NDArray[np.float64], share: float) -> float:
    """Find one engine's limit: the middle between the last image kept and the first refused."""
    lowest_first = np.sort(values)
    # Half an image does not count, and 0.005 * 200 must give 1, whatever its rounding.
    refused = int(share * lowest_first.size + 1e-9)
    kept = lowest_first.size - refused - 1
    return float(lowest_first[kept : kept + 2].mean()) if refused else float(lowest_first[kept])
