"""Which images a run uses: the split, what a limit leaves of it, and the plan."""

from dataclasses import dataclass

from lentigo_trainer.config import TrainingConfig
from lentigo_trainer.plan import Plan, augmented
from lentigo_trainer.prepare import Prepared
from lentigo_trainer.split import Split, limited, split


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The images and rows of one run.

    Attributes:
        whole: the paper's split of all images; its validation side is what figures speak of.
        used: what a limit leaves of it; the same without a limit.
        plan: the rows that train.
    """

    whole: Split
    used: Split
    plan: Plan


def choose_rows(config: TrainingConfig, prepared: Prepared) -> TrainingRows:
    """Split the data set and plan the training rows.

    Raises:
        MetadataError: too few lesions with a single image to split.
    """
    whole = split(prepared.records)
    used, target = whole, config.recipe.class_target
    if config.limit is not None:
        used = limited(whole, prepared.records, config.limit, config.seed)
        target = max(1, round(target * len(used.train) / len(whole.train)))
    return TrainingRows(whole, used, augmented(used.train, prepared.labels, config.seed, target))
