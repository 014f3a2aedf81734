"""Makes one variant of a network: prunes it, narrows it or rounds it, and fine-tunes it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.compression.channel_groups import channel_groups, choose_channels
from lentigo_trainer.compression.magnitude import MagnitudePruning, zeros
from lentigo_trainer.compression.narrow import take_widest_channels
from lentigo_trainer.compression.quantization_aware import on_grid, quantization_aware
from lentigo_trainer.compression.records import NOTHING
from lentigo_trainer.compression.structured import prune_channels, scale_scores, taylor_scores
from lentigo_trainer.config.compression_file import (
    UNCOMPRESSED,
    Channels,
    Int8,
    Method,
    Weights,
    Width,
)
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.data.sampling import extra_count
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.export.int8_kernels import with_int8_kernels
from lentigo_trainer.export.litert import float32_model, trained_int8_model
from lentigo_trainer.export.quantization import layers_in_float, round_to_int8
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.architecture import Weights as InitialWeights
from lentigo_trainer.models.architecture import with_all_layers_trainable
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.graph import copied_network, steps_of
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.fine_tuning.fine_tune import Constraint, fine_tune
from lentigo_trainer.training.loop import Examples

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Material:
    """What variants are made from.

    Attributes:
        training: images that they learn from, those of imported sets among them.
        held_out: images that they are measured on.
        calibration_images: some training images of every class, on which GPTQ rounds, and which
            set ranges of activations.
        weights: where the published weights of narrower networks come from.
        seed: of every draw.
        progress: shows how far each step is.
    """

    training: Examples
    held_out: Examples
    calibration_images: Images
    weights: InitialWeights
    seed: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Variant:
    """A finished variant.

    Attributes:
        network: with its weights; in int8, those that the file computes with, as far as they are
            known before it is written.
        model: content of its LiteRT file.
        engine: that runs it.
        method: what was done, in words.
        start: where its weights come from, in words.
        epochs: how long it was fine-tuned.
        zeros: share of the prunable weights that are 0, if weights were pruned.
        channels: of those that can be pruned, how many are left, and of how many.
    """

    network: Network
    model: bytes
    engine: Literal["litert", "litert-int8"]
    method: str
    start: str
    epochs: int
    zeros: float | None = None
    channels: tuple[int, int] | None = None


def make_variant(
    method: Method, source: Network, recipe: Recipe, material: Material, folder: Path
) -> Variant:
    """Make a variant of a network.

    Args:
        method: how.
        source: the trained network that it is made of; it is not changed.
        recipe: by which it learns.
        material: images and settings.
        folder: of the variant; a training resumes from there.

    Raises:
        TrainingError: the network cannot be compressed so, or the training diverged.
        WeightsUnavailableError: a narrower network's weights are missing.
        StorageError: the disk is full or not writable; finished epochs are kept.
    """
    match method:
        case Channels():
            return _without_channels(method, source, recipe, material, folder)
        case Weights():
            return _without_weights(method, source, recipe, material, folder)
        case Width():
            return _narrow(method, recipe, material, folder)
        case Int8():
            return _in_int8(method, source, recipe, material, folder)


def uncompressed(network: Network, folder: Path, start: str, epochs: int) -> Variant:
    """Return the network itself, exported as the variants are."""
    model = _float32(network, folder)
    return Variant(network, model, "litert", NOTHING, start, epochs)


def network_from(whole: keras.Model, feature_map: str) -> Network:
    """Return a whole network that learns from images."""
    return Network(whole=whole, backbone=whole, head=whole, feature_map=feature_map)


def _without_channels(
    method: Channels, source: Network, recipe: Recipe, material: Material, folder: Path
) -> Variant:
    groups = channel_groups(steps_of(source.whole))
    if method.score == "scale":
        scores = scale_scores(source.whole, groups)
    else:
        scores = taylor_scores(source.whole, groups, material.training, material.seed)
    masks = choose_channels(groups, scores, method.share)
    network = network_from(prune_channels(source.whole, groups, masks), source.feature_map)
    _fine_tune(network, recipe, material, folder)
    score = "Taylor term" if method.score == "taylor" else "scale of normalisation"
    return Variant(
        network,
        _float32(network, folder),
        "litert",
        f"{100 * method.share:g} % of the channels in the blocks removed, by the {score}",
        "the uncompressed network",
        recipe.epochs,
        channels=(sum(int(mask.sum()) for mask in masks), sum(map(len, masks))),
    )


def _without_weights(
    method: Weights, source: Network, recipe: Recipe, material: Material, folder: Path
) -> Variant:
    network = network_from(copied_network(source.whole), source.feature_map)
    ramp = round(method.ramp * recipe.epochs * _steps_of_epoch(recipe, material.training))
    pruning = MagnitudePruning(network.whole, method.share, ramp)
    _fine_tune(network, recipe, material, folder, pruning)
    # The network ends with an average over steps, the first of which were cut less.
    pruning.hold()
    return Variant(
        network,
        _float32(network, folder),
        "litert",
        f"{100 * method.share:g} % of the pointwise and dense weights set to 0, by magnitude",
        "the uncompressed network",
        recipe.epochs,
        zeros=zeros(pruning.kernels),
    )


def _narrow(method: Width, recipe: Recipe, material: Material, folder: Path) -> Variant:
    fine_tuning = recipe.fine_tuning
    if fine_tuning is None:
        raise TrainingError("A narrower network needs a recipe with a table fine_tuning.")
    chosen = with_all_layers_trainable(architecture(method.architecture), fine_tuning.dropout)
    if method.start == "published" or material.weights == "random":
        network = build(chosen, material.weights, material.seed)
        start = "random values" if material.weights == "random" else "its published weights"
    else:
        network = build(chosen, "random", material.seed)
        wide = with_all_layers_trainable(architecture("mobilenet"), fine_tuning.dropout)
        take_widest_channels(network.whole, build(wide, material.weights, material.seed).whole)
        start = "the channels of largest norm of MobileNet 1.0 as published"
    _fine_tune(network, recipe, material, folder)
    return Variant(
        network,
        _float32(network, folder),
        "litert",
        f"{chosen.title}, trained by the whole recipe",
        start,
        recipe.epochs,
    )


def _in_int8(
    method: Int8, source: Network, recipe: Recipe, material: Material, folder: Path
) -> Variant:
    images, progress = material.calibration_images, material.progress
    epochs = 0
    if method.rounding == "aware":
        aware = quantization_aware(source, images)
        _fine_tune(aware, recipe, material, folder)
        epochs = recipe.epochs
        network = on_grid(aware)
        how = "quantisation-aware, every convolution"
    elif method.rounding == "gptq":
        network = round_to_int8(source, images, progress, branches=True)
        if network is source:
            raise TrainingError(
                "The network cannot be rounded by GPTQ: its feature maps take too much memory, "
                'or its layers cannot be rebuilt. Use rounding = "plain".'
            )
        how = "by GPTQ"
    else:
        network = source
        how = "each weight to the nearest step"
    with _unfinished(folder) as name:
        export_saved_model(network, Path(name))
        model = int8_file(method, network, Path(name))
    made_of = f"`{method.of}`" if method.of != UNCOMPRESSED else "the uncompressed network"
    return Variant(network, model, "litert-int8", f"int8, {how}", made_of, epochs)


def int8_file(method: Int8, network: Network, saved_model: Path) -> bytes:
    """Convert the SavedModel of a network that was made ready for int8.

    Args:
        method: by which it was made ready.
        network: of `Variant.network`.
        saved_model: its folder; what else it computes than the network stays in float32.

    Raises:
        TrainingError: it cannot be converted.
    """
    if method.rounding == "aware":
        return trained_int8_model(saved_model)
    return with_int8_kernels(float32_model(saved_model), layers_in_float(network.whole))


def _fine_tune(
    network: Network,
    recipe: Recipe,
    material: Material,
    folder: Path,
    constraint: Constraint | None = None,
) -> None:
    fine_tune(
        network.head,
        material.training,
        material.held_out,
        recipe,
        material.seed,
        folder / "checkpoint.npz",
        material.progress,
        constraint=constraint,
    )


def _steps_of_epoch(recipe: Recipe, training: Examples) -> int:
    settings = recipe.fine_tuning
    most = settings.images_per_epoch if settings else len(training.labels)
    count = min(most, len(training.labels))
    if settings is not None and training.extra is not None:
        count += extra_count(count, settings.extra_share)
    return max(1, count // recipe.batch_size)


def _unfinished(folder: Path) -> tempfile.TemporaryDirectory[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folder, prefix=".export-")


def _float32(network: Network, folder: Path) -> bytes:
    with _unfinished(folder) as saved:
        export_saved_model(network, Path(saved))
        return float32_model(Path(saved))
