"""Which images a run uses: the split, what a limit leaves of it, and the plan."""

from dataclasses import dataclass

import numpy as np

from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.hold_out import Parts, parts_of
from lentigo_trainer.plan import Plan, augmented, originals
from lentigo_trainer.prepare import Prepared
from lentigo_trainer.split import Rows, Split, limited, split


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The images and rows of one run.

    Attributes:
        whole: the paper's split of all images, its training side without what the recipe holds
            out; its validation side is what figures speak of.
        used: what a limit leaves of it; the same without a limit.
        plan: the rows that train.
        tuning: images for temperature, thresholds and the figures behind each epoch; none where
            the recipe trains on all.
        hold_out: images that recipes are compared on; none where the recipe trains on all.
    """

    whole: Split
    used: Split
    plan: Plan
    tuning: Rows
    hold_out: Rows

    @property
    def watched(self) -> Rows:
        """Images that are measured behind every epoch: never those of the final figures, if any."""
        return self.tuning if len(self.tuning) else self.used.validation


def choose_rows(config: TrainingConfig, prepared: Prepared) -> TrainingRows:
    """Split the data set and plan the training rows.

    Raises:
        MetadataError: too few lesions to split, or to hold out.
    """
    papers = split(prepared.records)
    none = np.array([], np.intp)
    parts = Parts(papers.train, none, none)
    if config.recipe.hold_out:
        parts = parts_of(papers.train, prepared.records)
    whole = Split(train=parts.train, validation=papers.validation)
    used, target = whole, config.recipe.class_target
    if config.limit is not None:
        used = limited(whole, prepared.records, config.limit, config.seed)
        target = max(1, round(target * len(used.train) / len(whole.train)))
    if config.recipe.whole_network:
        plan = originals(used.train, prepared.labels)
    else:
        plan = augmented(used.train, prepared.labels, config.seed, target)
    return TrainingRows(whole, used, plan, parts.tuning, parts.hold_out)
