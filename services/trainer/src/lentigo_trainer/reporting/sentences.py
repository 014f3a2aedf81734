"""An evaluation in sentences, for the terminal, the page and the model card."""

from collections.abc import Iterator

from lentigo_contract.wording import pluralize
from lentigo_trainer.data.ham10000 import join_names
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.reporting.text import share_text


def sentences(report: EvaluationReport) -> Iterator[str]:
    """Describe the model, the images, and how the intervals were computed."""
    model, result = report.subject, report.evaluation
    lesions = pluralize(result.lesions, "lesion")
    of_lesions = "" if report.intervals_over == "images" else f" of {lesions}"
    yield (
        f"{model.architecture}, trained {model.created[:10]}, asked {model.asked} "
        f"(engine {model.engine}) about {pluralize(result.examples, 'image')}{of_lesions}."
    )
    if result.decided_by == "balanced":
        yield (
            "A diagnosis is decided as if the seven were equally frequent; the most probable one "
            "has rows of its own."
        )
    yield (
        f"Figures in brackets are 95 % intervals by bootstrap over {report.intervals_over} "
        f"({result.resamples:,} resamples)."
    )
    yield overlap_text(report)
    if report.known_duplicates:
        yield duplicates_text(report)
    if report.unlisted:
        left_out = pluralize(
            report.unlisted,
            "further image without a truth was",
            "further images without a truth were",
        )
        yield f"{left_out} left out."
    if model.prevalence_source == "clinic":
        yield (
            "The service moved the probabilities to the prevalence of a clinic, and calibration is "
            "measured at that."
        )
    if report.refused is not None:
        yield (
            f"Refused as unfit, and judged anyway: {share_text(report.refused)} of "
            f"{pluralize(report.refused.n, 'image')}."
        )
    if (unchanged := report.unchanged_when_turned) is not None:
        yield (
            "The same diagnosis in eight positions, turned and mirrored: "
            f"{share_text(unchanged)} of {pluralize(unchanged.n, 'image')}."
        )


def overlap_text(report: EvaluationReport) -> str:
    """Describe whether any of the images were used to train the model."""
    verdict, _, how = report.overlap.partition(": ")
    if verdict == "none":
        return f"None of them trained it: {how}"
    if verdict == "allowed":
        return f"SOME OF THEM TRAINED IT, which was allowed: {how}"
    return f"Whether any of them trained it was {verdict}: {how}"


def duplicates_text(report: EvaluationReport) -> str:
    """Describe which images show a lesion that trained, under another lesion id."""
    names = report.known_duplicates
    shown = pluralize(len(names), "of the images shows", "of the images show")
    return (
        f"Known duplicates: {shown} a lesion that is also among the "
        f"training images, under another lesion id: {join_names(names)}. The rows without known "
        "duplicates leave them out."
    )
