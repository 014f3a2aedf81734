"""Make the variants of a compression, and compare all with the network that they are made of."""

import numpy as np

from lentigo_trainer import __version__
from lentigo_trainer.benchmark.profiling import litert_latency, this_machine
from lentigo_trainer.compression.comparison import compared, decided, parts_of_fold
from lentigo_trainer.compression.context import CompressionContext
from lentigo_trainer.compression.records import CompressionRecord, VariantRecord
from lentigo_trainer.config.compression_file import UNCOMPRESSED
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.errors import TrainingError


def compress(context: CompressionContext) -> CompressionRecord:
    """Make the variants that are not finished, and compare all with the network.

    A variant that fails is told with its reason; the others go on.

    Args:
        context: open.

    Raises:
        TrainingError: the network itself cannot be exported.
        WorkFolderError: a variant in the folder was made otherwise.
        StorageError: the disk is full or not writable; finished variants are kept.
    """
    chosen, progress = context.config.chosen, context.material.progress
    reasons: dict[str, str] = {}
    for number, name in enumerate((UNCOMPRESSED, *chosen)):
        progress.say(f"{name} ({number} of {len(chosen)})")
        try:
            context.finish(name, chosen.get(name))
        except TrainingError as error:
            if name == UNCOMPRESSED:
                raise
            reasons[name] = str(error)
            progress.say(f"{name}: {error}")
    return _record(context, reasons)


def _record(context: CompressionContext, reasons: dict[str, str]) -> CompressionRecord:
    config, prepared, rows = context.config, context.prepared, context.rows.tuning
    names = (UNCOMPRESSED, *config.chosen)
    answers = {
        name: decided(context.variant(name).logits(), rows, prepared)
        for name in names
        if name not in reasons
    }
    found = compared(answers, UNCOMPRESSED, prepared)
    context.material.progress.say("Timing single images on one core")
    records = []
    for name in names:
        if name in reasons:
            records.append(VariantRecord(name=name, reason=reasons[name]))
            continue
        variant = context.variant(name)
        agreement = found[name]["agreement"]
        records.append(
            VariantRecord(
                name=name,
                result=variant.result(),
                latency=litert_latency(variant.model(), 1),
                metrics=found[name]["metrics"],
                differences=None if name == UNCOMPRESSED else found[name]["differences"],
                equal_diagnoses=agreement["diagnoses"],
                equal_referrals=agreement["referrals"],
            )
        )
    training = config.training
    return CompressionRecord(
        name=config.compression.name,
        recipe=training.recipe.model_dump(mode="json"),
        start=context.start,
        fold=config.fold,
        folds=context.folds,
        parts=parts_of_fold(rows, prepared),
        images=len(rows),
        lesions=len(np.unique(merged_lesions(prepared.records)[rows])),
        dataset=prepared.digest,
        seed=training.seed,
        limit=training.limit,
        code_version=__version__,
        machine=this_machine(training.cores),
        variants=tuple(records),
    )
