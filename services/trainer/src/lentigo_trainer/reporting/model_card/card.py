"""Write a version's model card, from its manifest and its evaluations.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019). The words are in
`templates/model-card/`.
"""

from collections.abc import Sequence
from functools import partial

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.evaluation.images.image_sets import VALIDATION
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.metrics.out_of_fold import OutOfFoldMetrics
from lentigo_trainer.reporting.model_card.evidence import Evidence
from lentigo_trainer.reporting.model_card.results import comparison, known_failures
from lentigo_trainer.reporting.rendering import render_markdown
from lentigo_trainer.reporting.sentences import duplicates_text, overlap_text
from lentigo_trainer.reporting.tables import metric_tables, subgroup_tables
from lentigo_trainer.reporting.text import (
    count_of,
    count_text,
    out_of_fold_rows,
    reasons,
    rows_with_rest,
    share_text,
)

Plot = tuple[str, str]
"""A plot's address, as seen from the card, and what it shows, in words."""


def model_card(evidence: Evidence, plots: Sequence[Plot] = ()) -> str:
    """Write the card in Markdown; the same evidence gives the same text.

    Args:
        evidence: what is known; see `validate_evidence`.
        plots: to show beside the metrics.
    """
    manifest, main = evidence.manifest, evidence.main
    found = manifest.out_of_fold
    return render_markdown(
        "model-card/card.md.j2",
        notice=RESEARCH_NOTICE,
        manifest=manifest,
        diagnoses=[
            (each.code, each.name, "yes" if each.malignant else "no", ", ".join(each.icd10))
            for each in DIAGNOSES
        ],
        main=main,
        reports=evidence.sets,
        failures=known_failures(main),
        flattered=chosen_on(manifest, main),
        limit_chosen_on=partial(limit_chosen_on, manifest),
        validation=VALIDATION.description,
        every_set_chose=all(
            chosen_on(manifest, each) or limit_chosen_on(manifest, each.images)
            for each in evidence.sets
        ),
        found=None if found is None else OutOfFoldMetrics.model_validate(found),
        plots=plots,
        comparisons=[
            comparison(report, other)
            for report in evidence.sets
            for other in evidence.beside(report)
        ],
        count_of=count_of,
        duplicates_text=duplicates_text,
        metric_tables=metric_tables,
        named=_named,
        all_rows=rows_with_rest,
        out_of_fold_rows=out_of_fold_rows,
        overlap_text=overlap_text,
        reasons=reasons,
        subgroup_tables=subgroup_tables,
    )


def chosen_on(manifest: Manifest, report: EvaluationReport) -> bool:
    """Whether the threshold for malignancy was chosen on the very images of this report."""
    return report.images in manifest.thresholds.source


def limit_chosen_on(manifest: Manifest, images: str) -> bool:
    """Whether the out-of-distribution limit was chosen on these images.

    Args:
        manifest: of the version.
        images: a set of images, in words.
    """
    return manifest.unlikeness is not None and images in manifest.unlikeness.source


def _named(share: Estimate) -> str:
    return "undefined" if share.value is None else f"{count_text(share)}, {share_text(share)}"
