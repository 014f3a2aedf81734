from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lentigo_contract.errors import StorageError
from lentigo_trainer.cli.main import app
from lentigo_trainer.compression import context as context_module
from lentigo_trainer.compression.context import CompressionConfig, open_context
from lentigo_trainer.compression.records import CompressionRecord, VariantRecord
from lentigo_trainer.compression.report import compression_page, write_report
from lentigo_trainer.compression.run import compress as run_compression
from lentigo_trainer.config.compression_file import (
    Channels,
    Compression,
    Int8,
    Method,
    Schedule,
    Weights,
    Width,
)
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.errors import DamagedCacheError, DivergedError, RecipeError, WorkFolderError
from lentigo_trainer.system.progress import Progress, SilentProgress
from tests.trainer.compression.made_up import COMPRESSION_HEAD, RECIPE_FILE, tiny_recipe
from tests.trainer.made_up_runs import run_of

SILENT = SilentProgress()


VARIANTS: dict[str, Method] = {
    "channels_50": Channels(method="channels", share=0.5),
    "channels_50_int8": Int8(method="int8", rounding="plain", of="channels_50"),
    "weights_50": Weights(method="weights", share=0.5),
    "aware": Int8(method="int8", rounding="aware", learning_rate=0.01),
    "narrow": Width(method="width", architecture="mobilenet_050"),
}


def compress(
    config: CompressionConfig, prepared: Prepared, progress: Progress
) -> CompressionRecord:
    with open_context(config, prepared, progress) as context:
        return run_compression(context)


@pytest.fixture
def source(data: Path, prepared: Prepared) -> Path:
    del prepared
    return data / "ham"


def config_in(work: Path) -> CompressionConfig:
    schedule = Schedule(epochs=1, stages=(), warm_up_epochs=0)
    return CompressionConfig(
        compression=Compression("c", tiny_recipe(), 2, schedule, dict(VARIANTS)),
        # A folder without weights, so that the narrow network cannot start.
        training=replace(run_of(tiny_recipe(), work), weights=work),
        fold=2,
        checkpoint=None,
    )


@pytest.fixture(scope="module")
def finished(
    prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CompressionConfig, CompressionRecord]:
    config = config_in(tmp_path_factory.mktemp("work"))
    return config, compress(config, prepared, SILENT)


def variant(record: CompressionRecord, name: str) -> VariantRecord:
    (found,) = [each for each in record.variants if each.name == name]
    return found


def test_every_variant_is_measured_beside_the_uncompressed_network(
    finished: tuple[CompressionConfig, CompressionRecord],
) -> None:
    _, record = finished
    assert [each.name for each in record.variants] == ["uncompressed", *VARIANTS]
    assert (record.fold, record.folds) == (2, 2)
    assert record.parts >= 2
    whole = variant(record, "uncompressed")
    assert whole.differences is None
    assert whole.equal_referrals is not None
    assert whole.equal_referrals.value == 1
    for name in ("channels_50", "channels_50_int8", "weights_50", "aware"):
        found = variant(record, name)
        assert found.result is not None
        assert found.differences is not None
        assert found.metrics is not None
        gained = found.differences["balanced_accuracy"]
        values = [each.metrics["balanced_accuracy"].value for each in (found, whole)]  # type: ignore[index]
        assert gained.value == pytest.approx(values[0] - values[1])  # type: ignore[operator]
        assert found.latency is not None
        assert found.equal_referrals is not None
        assert 0 <= (found.equal_referrals.value or 0) <= 1


def test_what_variants_cost_is_counted(
    finished: tuple[CompressionConfig, CompressionRecord],
) -> None:
    _, record = finished
    whole, channels, rounded, weights = (
        variant(record, name).result
        for name in ("uncompressed", "channels_50", "channels_50_int8", "weights_50")
    )
    assert whole is not None
    assert channels is not None
    assert rounded is not None
    assert weights is not None
    assert channels.channels == (32, 64)
    assert channels.multiplications < whole.multiplications == weights.multiplications
    assert channels.parameters < whole.parameters == weights.parameters
    assert rounded.engine == "litert-int8"
    assert rounded.multiplications == channels.multiplications
    assert weights.zeros == pytest.approx(0.5, abs=0.02)
    assert weights.file_bytes == pytest.approx(whole.file_bytes, rel=0.02)
    assert weights.compressed_bytes < whole.compressed_bytes


def test_a_variant_that_fails_is_told_and_the_others_go_on(
    finished: tuple[CompressionConfig, CompressionRecord],
) -> None:
    _, record = finished
    reason = variant(record, "narrow").reason
    assert reason is not None
    assert "has no mobilenet_5_0_224_tf_no_top.h5" in reason
    page = compression_page(record)
    assert "`narrow`: not measured." in page
    assert "Not a medical device" in page


def test_the_report_has_a_table_and_a_plot(
    finished: tuple[CompressionConfig, CompressionRecord], tmp_path: Path
) -> None:
    _, record = finished
    write_report(record, tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert "| channels_50 |" in page
    assert "accuracy-cost.svg" in page
    assert (tmp_path / "accuracy-cost.svg").read_text().startswith("<?xml")
    content = (tmp_path / "compression.json").read_bytes()
    assert CompressionRecord.model_validate_json(content) == record


def test_what_is_finished_is_not_made_again(
    finished: tuple[CompressionConfig, CompressionRecord],
    prepared: Prepared,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, record = finished

    def fail(*arguments: object, **named: object) -> None:
        raise AssertionError(arguments, named)

    monkeypatch.setattr(context_module, "uncompressed", fail)
    # Only the one that failed is tried again, and fails as before.
    again = compress(replace(config, only=("channels_50_int8", "narrow")), prepared, SILENT)
    names = [each.name for each in again.variants]
    assert names == ["uncompressed", "channels_50", "channels_50_int8", "narrow"]
    for name in names:
        assert variant(again, name).metrics == variant(record, name).metrics


def test_the_command_writes_a_report_and_tells_by_its_exit_code_what_failed(
    finished: tuple[CompressionConfig, CompressionRecord],
    source: Path,
    tmp_path: Path,
) -> None:
    config, record = finished
    file = tmp_path / "c.toml"
    (tmp_path / "own.toml").write_text(RECIPE_FILE)
    file.write_text(
        COMPRESSION_HEAD + '[variants.channels_50]\nmethod = "channels"\nshare = 0.5\n'
        '[variants.narrow]\nmethod = "width"\narchitecture = "mobilenet_050"\n'
    )
    work = config.training.work.root

    def run(*options: str) -> Result:
        command = ["compress", str(file), "--source", str(source), "--work", str(work)]
        more = ["--weights-dir", str(work), "--report", str(tmp_path / "report"), *options]
        return CliRunner().invoke(app, [*command, *more])

    result = run("--only", "channels_50")
    assert result.exit_code == 0, result.output
    found = CompressionRecord.model_validate_json(
        (tmp_path / "report" / "compression.json").read_bytes()
    )
    name = "channels_50"
    assert variant(found, name).differences == variant(record, name).differences
    assert run().exit_code == 1
    assert "`narrow`: not measured." in (tmp_path / "report" / "README.md").read_text()


def test_a_diverging_variant_keeps_the_others(
    finished: tuple[CompressionConfig, CompressionRecord],
    prepared: Prepared,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, _ = finished
    more: dict[str, Method] = {**VARIANTS, "wild": Channels(method="channels", share=0.25)}
    compression = replace(config.compression, variants=more)

    def diverge(*arguments: object, **named: object) -> None:
        del arguments, named
        raise DivergedError("the loss is nan, so the training has diverged.")

    monkeypatch.setattr(context_module, "make_variant", diverge)
    changed = replace(config, compression=compression, only=("channels_50", "wild"))
    record = compress(changed, prepared, SILENT)
    assert variant(record, "wild").reason == "the loss is nan, so the training has diverged."
    assert variant(record, "channels_50").metrics is not None


def test_a_full_disk_ends_it_and_keeps_what_is_finished(
    finished: tuple[CompressionConfig, CompressionRecord],
    prepared: Prepared,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, _ = finished
    more: dict[str, Method] = {**VARIANTS, "late": Channels(method="channels", share=0.25)}

    def fill(*arguments: object, **named: object) -> None:
        del arguments, named
        raise StorageError("The disk that holds work is full.")

    monkeypatch.setattr(context_module, "make_variant", fill)
    compression = replace(config.compression, variants=more)
    with pytest.raises(StorageError, match="is full"):
        compress(replace(config, compression=compression, only=("late",)), prepared, SILENT)
    assert (config.folder / "channels_50" / "result.json").is_file()


def test_a_folder_of_another_seed_is_refused(
    finished: tuple[CompressionConfig, CompressionRecord], prepared: Prepared
) -> None:
    config, _ = finished
    other = replace(config, training=replace(config.training, seed=1))
    with pytest.raises(WorkFolderError, match="made with another"):
        compress(other, prepared, SILENT)


def test_damaged_answers_are_told(
    finished: tuple[CompressionConfig, CompressionRecord], prepared: Prepared
) -> None:
    config, _ = finished
    file = config.folder / "weights_50" / "answers.npy"
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    try:
        with pytest.raises(DamagedCacheError, match="to make that variant again"):
            compress(replace(config, only=("weights_50",)), prepared, SILENT)
    finally:
        file.write_bytes(content)


def test_an_unknown_fold_or_variant_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with pytest.raises(RecipeError, match="no fold 3; there are 2"):
        compress(replace(config, fold=3), prepared, SILENT)
    with pytest.raises(RecipeError, match="has no variant none; there are channels_50"):
        compress(replace(config, only=("none",)), prepared, SILENT)


def test_the_answers_are_those_of_the_file(
    finished: tuple[CompressionConfig, CompressionRecord], prepared: Prepared
) -> None:
    config, record = finished
    folder = config.folder / "uncompressed"
    answers = np.load(folder / "answers.npy")
    assert answers.shape == (record.images, 7)
    np.testing.assert_allclose(np.exp(answers).sum(axis=1), 1, atol=1e-5)
    whole = keras.models.load_model(folder / "network.keras", compile=False)
    from lentigo_trainer.data.splits import choose_rows, rows_without_fold

    rows = rows_without_fold(choose_rows(config.training, prepared), prepared.labels, 2).tuning
    logits = whole(prepared.images[rows].astype(np.float32), training=False).numpy()
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(answers, expected, atol=1e-3)
