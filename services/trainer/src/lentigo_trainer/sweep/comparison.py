"""The paired comparison of the variants that a sweep trained to their end."""

from collections.abc import Sequence

from lentigo_trainer.calibration.cross_validation import common_rows, cross_validate, measure
from lentigo_trainer.calibration.out_of_fold import cross_fit
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.system.progress import Progress


def compare_runs(
    configs: Sequence[TrainingConfig],
    prepared: Prepared,
    rows: TrainingRows,
    progress: Progress,
) -> list[tuple[dict[str, Estimate], dict[str, Estimate]]]:
    """Measure out-of-fold answers, and what each run gains over the first, by lesion.

    Args:
        configs: of runs whose folds are all finished.
        prepared: the data set.
        rows: the training rows, which are the same for all.
        progress: shows how far it is.

    Returns:
        For each run its metrics and their differences to the first run's.

    Raises:
        LentigoError: as `cross_fit` and `cross_validate`.
    """
    lesions = merged_lesions(prepared.records)
    answers = []
    for config in configs:
        folder = config.work.run(config.recipe)
        found = cross_fit(config, prepared, rows, folder, progress)
        answers.append(cross_validate(found, prepared.labels, lesions))
    results = []
    for each in answers:
        shared = common_rows(each, answers[0])
        pair = each.only(shared), answers[0].only(shared)
        results.append(
            (
                measure(each, None, prepared.labels, lesions),
                measure(*pair, prepared.labels, lesions),
            )
        )
    return results
