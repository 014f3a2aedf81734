"""What a compression found: the record that its page is made from."""

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lentigo_trainer.benchmark.records import Latency, Machine
from lentigo_trainer.errors import DamagedCacheError
from lentigo_trainer.metrics.bootstrap import Estimate

NOTHING: Final = "nothing"
"""What was done to the uncompressed network."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VariantFile(_Record):
    """A finished variant, apart from its answers; it lies in the variant's folder.

    Attributes:
        method: what was done, in words.
        start: where its weights come from, in words.
        epochs: how long it was fine-tuned.
        feature_map: name of the layer with the last feature map.
        parameters: number of weights.
        zeros: share of the prunable weights that are 0, if weights were pruned.
        channels: of those that can be pruned, how many are left, and of how many.
        multiplications: for one image.
        engine: that runs its file.
        file_bytes: of the LiteRT file.
        compressed_bytes: of the file by gzip.
    """

    method: str
    start: str
    epochs: int
    feature_map: str
    parameters: int
    zeros: float | None = None
    channels: tuple[int, int] | None = None
    multiplications: int
    engine: Literal["litert", "litert-int8"]
    file_bytes: int
    compressed_bytes: int

    @classmethod
    def read(cls, path: Path) -> "VariantFile":
        """Read what a variant's folder holds.

        Raises:
            DamagedCacheError: it cannot be read.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DamagedCacheError(
                f"{path} cannot be read. Delete {path.parent} to make that variant again."
            ) from error


class VariantRecord(_Record):
    """One row of the report.

    Attributes:
        name: in the compression file.
        reason: why there is no result; None if there is one.
        result: of a finished variant.
        latency: of one image on one core, by LiteRT.
        metrics: those of `cross_validation.MEASURED`, with intervals by lesion.
        differences: the same minus those of the uncompressed network, paired by lesion.
        equal_diagnoses: share of images with the same decided diagnosis as the uncompressed one's.
        equal_referrals: share of images that both refer, or both do not.
    """

    name: str
    reason: str | None = None
    result: VariantFile | None = None
    latency: Latency | None = None
    metrics: dict[str, Estimate] | None = None
    differences: dict[str, Estimate] | None = None
    equal_diagnoses: Estimate | None = None
    equal_referrals: Estimate | None = None


class CompressionRecord(_Record):
    """A compression, as far as it is finished.

    Attributes:
        name: of the compression file.
        recipe: all values of the recipe of the network.
        start: where the network's weights come from, in words.
        fold: that was measured on, of how many.
        folds: how many.
        parts: into which the fold was divided, to fit calibration and referral on the others.
        images: of the fold.
        lesions: that they show, known duplicates merged.
        dataset: digest of the prepared images.
        seed: of every training.
        limit: about how many images were used; None for all.
        code_version: of this package.
        machine: of the latencies.
        variants: the uncompressed network first.
    """

    name: str
    recipe: dict[str, object]
    start: str
    fold: int
    folds: int
    parts: int
    images: int
    lesions: int
    dataset: str
    seed: int
    limit: int | None
    code_version: str
    machine: Machine
    variants: tuple[VariantRecord, ...]
