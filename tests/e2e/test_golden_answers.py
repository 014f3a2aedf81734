"""Damage that the sums do not show, because whoever made it computed them again."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from lentigo_contract.errors import EngineError
from lentigo_contract.manifest.engines import LITERT_FILES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_inference.engines.selection import engine_loader
from tests.fakes import made_manifest

FILE = LITERT_FILES["litert-int8"]
ZEROED = 2000
# The last convolution has 8 x WIDTH weights of one byte.
WIDTH = 512


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """An exported version, and its manifest without the files."""
    from lentigo_trainer.evaluation.exported_model import predict_with
    from lentigo_trainer.export.litert import export_litert
    from lentigo_trainer.export.parity import compare_engines
    from lentigo_trainer.export.saved_model import export_saved_model
    from lentigo_trainer.system.progress import SilentProgress
    from tests.trainer.networks import small_mobilenet

    folder = tmp_path_factory.mktemp("exported") / "files"
    silent, network = SilentProgress(), small_mobilenet(5, WIDTH)
    images = np.random.default_rng(0).integers(0, 256, (14, 224, 224, 3), dtype=np.uint8)
    geometry = export_saved_model(network, folder)
    export_litert(network, folder, images, silent)
    reference = predict_with("savedmodel", folder, images, silent)
    parity = compare_engines(folder, images, np.arange(14) % 7, reference, None, silent)
    return folder, parity.on_record(made_manifest(activation_map=geometry))


def published(store: ModelStore, made: tuple[Path, Manifest], model: bytes) -> StoredVersion:
    """Publish what was made with another int8 model, under sums that are right."""
    source, manifest = made

    def fill(folder: Path) -> Manifest:
        for path in source.rglob("*"):
            if path.is_file():
                copy = folder / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        (folder / FILE).write_bytes(model)
        return manifest

    return store.open(store.publish(fill).version)


def test_zeroed_weights_of_the_int8_model_are_noticed_by_the_golden_answers(
    tmp_path: Path, made: tuple[Path, Manifest]
) -> None:
    store = ModelStore(tmp_path / "models")
    load = engine_loader(1, "litert-int8")
    model = (made[0] / FILE).read_bytes()
    assert load(published(store, made, model)).name == "litert-int8"

    interpreter = Interpreter(model_content=model)
    (weights,) = (
        interpreter.get_tensor(each["index"]).tobytes()
        for each in interpreter.get_tensor_details()
        if each["dtype"] is np.int8 and list(each["shape"]) == [WIDTH, 1, 1, 8]
    )
    start = model.index(weights)
    damaged = model[:start] + bytes(ZEROED) + model[start + ZEROED :]

    with pytest.raises(EngineError, match="golden answer"):
        load(published(store, made, damaged))
