"""A variant as a version: exported, described, published and served."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from lentigo_engines.base import Prediction
from lentigo_inference.engines.selection import engine_loader
from lentigo_trainer.cli.main import app
from lentigo_trainer.compression.candidates import make_candidate
from lentigo_trainer.compression.context import CompressionConfig, CompressionContext, open_context
from lentigo_trainer.compression.run import compress
from lentigo_trainer.config.compression_file import Channels, Compression, Int8, Method, Schedule
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.errors import RecipeError, ReleaseRefusedError, TrainingError
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.export.publishing import (
    candidate_files,
    candidate_manifest,
    publish_candidate,
)
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.compression.made_up import COMPRESSION_HEAD, RECIPE_FILE, tiny_recipe
from tests.trainer.made_up_runs import run_of

SILENT = SilentProgress()

VARIANTS: dict[str, Method] = {
    "channels": Channels(method="channels", share=0.5),
    "channels_gptq": Int8(method="int8", rounding="gptq", of="channels"),
    "aware": Int8(method="int8", rounding="aware", learning_rate=0.01),
}

FILE = f"""{COMPRESSION_HEAD}
[variants.channels]
method = "channels"
share = 0.5
"""


@pytest.fixture(scope="module")
def context(
    prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CompressionContext]:
    """Every variant, finished."""
    schedule = Schedule(epochs=1, stages=(), warm_up_epochs=0)
    config = CompressionConfig(
        compression=Compression("c", tiny_recipe(), 2, schedule, VARIANTS),
        training=run_of(tiny_recipe(), tmp_path_factory.mktemp("work")),
        fold=2,
        checkpoint=None,
    )
    with open_context(config, prepared, SILENT) as opened:
        record = compress(opened)
        assert not any(each.reason for each in record.variants)
        yield opened


def candidate_of(context: CompressionContext, name: str) -> tuple[Path, Manifest]:
    folder = make_candidate(context, name, lambda: datetime(2026, 12, 1, tzinfo=UTC))
    return folder, candidate_manifest(folder)


@pytest.fixture(scope="module")
def rounded(context: CompressionContext) -> tuple[Path, Manifest]:
    return candidate_of(context, "channels_gptq")


@pytest.fixture(scope="module")
def aware(context: CompressionContext) -> tuple[Path, Manifest]:
    return candidate_of(context, "aware")


def test_calibration_and_thresholds_rest_on_the_fold_and_say_so(
    rounded: tuple[Path, Manifest], context: CompressionContext
) -> None:
    _, manifest = rounded
    count = len(context.rows.tuning)
    assert "fold 2 of 2, which trained neither this network" in manifest.calibration.note
    assert f"(n = {count})" in manifest.calibration.note
    assert manifest.malignancy_calibration is not None
    assert manifest.unlikeness is not None
    for text in (
        manifest.malignancy_calibration.source,
        manifest.thresholds.source,
        manifest.thresholds.abstention_source,
        manifest.unlikeness.source,
    ):
        assert "in fold 2 of 2, which trained neither" in text
    # Whatever stands in for the SavedModel, the thresholds hold for the file it is published for.
    assert "litert-int8: sensitivity" in manifest.thresholds.source
    assert manifest.split.tuning == count
    assert manifest.split.train == len(context.rows.used.train)
    assert manifest.out_of_fold is None
    assert manifest.limit is None


def test_the_manifest_says_how_the_network_was_made_smaller(
    rounded: tuple[Path, Manifest], context: CompressionContext
) -> None:
    folder, manifest = rounded
    found = manifest.compression
    assert found is not None
    assert (found.variant, found.fold, found.folds) == ("channels_gptq", 2, 2)
    first, second = found.steps
    assert first.startswith("50 % of the channels in the blocks removed")
    assert second.startswith("int8, by GPTQ")
    variants = found.settings["variants"]
    assert isinstance(variants, dict)
    assert list(variants) == ["channels", "channels_gptq"]
    assert found.multiplications == context.variant("channels_gptq").result().multiplications
    assert manifest.architecture == "tiny"
    assert Manifest.from_json(manifest.to_json().encode()) == manifest
    card = " ".join((candidate_files(folder) / "model-card.md").read_text().split())
    assert "**Smaller than the recipe makes it** (variant `channels_gptq`)" in card
    assert f"{manifest.split.tuning} are fold 2 of 2 of the training images" in card
    assert "Not a medical device" in card
    assert "No hold-out was kept" not in card


def test_the_images_of_the_fold_are_not_among_what_trained_it(
    rounded: tuple[Path, Manifest], context: CompressionContext
) -> None:
    folder, _ = rounded
    lines = gzip.decompress((candidate_files(folder) / "training-set.csv.gz").read_bytes())
    names = {line.split(",")[-1] for line in lines.decode().splitlines()[1:]}
    of = context.prepared.records["image_id"].to_numpy()
    assert names == set(of[context.rows.used.train])
    assert not names & set(of[context.rows.tuning])


@pytest.mark.parametrize("which", ["rounded", "aware"])
def test_the_saved_model_is_the_network_that_int8_computes(
    which: str, request: pytest.FixtureRequest, context: CompressionContext
) -> None:
    folder, manifest = request.getfixturevalue(which)
    files = candidate_files(folder)
    images = context.prepared.images[context.rows.tuning[:6]]
    answers: dict[EngineName, Prediction] = {
        engine: predict_with(engine, files, images, SILENT)
        for engine in ("savedmodel", "litert", "litert-int8")
    }
    expected = answers["savedmodel"]
    assert expected.unlikeness is not None
    for found, tolerance in ((answers["litert"], 1e-3), (answers["litert-int8"], 0.02)):
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=tolerance)
        assert found.unlikeness is not None
        np.testing.assert_allclose(found.unlikeness, expected.unlikeness, rtol=10 * tolerance)
    assert manifest.golden is not None
    assert set(manifest.golden.answers) == set(answers)


@pytest.mark.parametrize("engine", ["litert-int8", "litert", "savedmodel"])
@pytest.mark.parametrize("which", ["rounded", "aware"])
def test_the_service_takes_it_up(
    which: str, engine: EngineName, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder, _ = request.getfixturevalue(which)
    stored = publish_candidate(folder, tmp_path / "models")
    opened = engine_loader(1, engine)(ModelStore(tmp_path / "models").open(stored.version))
    try:
        assert opened.name == engine
    finally:
        opened.close()


def test_a_variant_in_float32_has_the_files_of_every_version(
    context: CompressionContext, tmp_path: Path
) -> None:
    folder, manifest = candidate_of(context, "channels")
    assert "litert: sensitivity" in manifest.thresholds.source
    assert manifest.compression is not None
    assert len(manifest.compression.steps) == 1
    stored = publish_candidate(folder, tmp_path / "models")
    assert {"litert/float32.tflite", "litert/int8.tflite"} <= set(stored.manifest.files)


def test_what_answers_otherwise_than_was_measured_is_refused(context: CompressionContext) -> None:
    file = context.variant("channels").path / "answers.npy"
    content = file.read_bytes()
    measured = np.load(file)
    measured[:, 0] += 5
    np.save(file, measured)
    try:
        with pytest.raises(TrainingError, match="answers otherwise now than when it was measured"):
            candidate_of(context, "channels")
    finally:
        file.write_bytes(content)
    # Half a candidate is never published.
    assert not (context.variant("channels").path / "candidate.json").exists()


def test_a_variant_that_is_not_finished_is_not_published(context: CompressionContext) -> None:
    with pytest.raises(TrainingError, match="none is not finished"):
        candidate_of(context, "none")


def test_a_checkpoint_that_does_not_say_what_trained_it_is_not_published(
    context: CompressionContext, tmp_path: Path
) -> None:
    config = replace(context.config, checkpoint=tmp_path / "checkpoint.npz", publish="aware")
    with (
        pytest.raises(TrainingError, match="not known which images trained"),
        open_context(config, context.prepared, SILENT),
    ):
        pass


def test_an_unknown_variant_is_told_before_anything_is_trained(
    context: CompressionContext, tmp_path: Path
) -> None:
    training = run_of(tiny_recipe(), tmp_path)
    config = replace(context.config, training=training, publish="smallest")
    with (
        pytest.raises(RecipeError, match="has no variant smallest; there are channels"),
        open_context(config, context.prepared, SILENT),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def own_work(data: Path, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    del prepared
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.toml").write_text(RECIPE_FILE)
    (folder / "c.toml").write_text(FILE)
    (folder / "source").write_text(str(data / "ham"))
    return folder


def run(own_work: Path, *options: str) -> Result:
    source = (own_work / "source").read_text()
    command = ["compress", str(own_work / "c.toml"), "--source", source]
    command += ["--work", str(own_work / "work"), "--models", str(own_work / "models")]
    return CliRunner().invoke(app, [*command, "--random-weights", *options])


def test_the_command_publishes_a_variant_through_the_gate(own_work: Path) -> None:
    result = run(own_work, "--only", "channels", "--publish", "channels")
    assert result.exit_code == 0, result.output
    assert "Published version 1 in" in result.output
    manifest = Manifest.read(own_work / "models" / "lentigo" / "1" / "manifest.json")
    assert manifest.compression is not None
    assert manifest.forced is None


def test_a_quick_run_is_kept_and_published_only_by_force(own_work: Path) -> None:
    result = run(own_work, "--only", "channels", "--publish", "channels", "--limit", "60")
    assert "Because of --limit" in result.output
    assert isinstance(result.exception, ReleaseRefusedError)
    kept = "compression/c_fold_2_60/channels"
    assert f"--run {kept}" in str(result.exception)
    again = ["publish", "--work", str(own_work / "work"), "--run", kept, "--force"]
    result = CliRunner().invoke(app, [*again, "--models", str(own_work / "forced")])
    assert result.exit_code == 0, result.output
    document = json.loads((own_work / "forced" / "lentigo" / "1" / "manifest.json").read_text())
    assert document["forced"] == "It was trained with --limit 60."


def test_force_and_sign_belong_to_publish(own_work: Path) -> None:
    result = run(own_work, "--force")
    assert result.exit_code == 2
    assert "are for --publish" in result.output
