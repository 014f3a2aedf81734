"""Tiny model versions with the real signature, published through the store.

Their answer depends on the image and on the seed, so an answer for another image or by another
version shows. `SavedModels` makes real ones with TensorFlow; `publish_plain` and `load_plain` stand
in where the runtime does not matter, and compute the same in numpy.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pytest

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.engines import LITERT_FILES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.serving.decision import DecisionPolicy
from lentigo_inference.serving.model_slot import LoadedModel
from tests.fakes import made_agreement, made_manifest

QualityIssue = Literal["none", "nan", "classes", "sum", "signature", "input", "untold"]

# TensorFlow has no types.
Tensor = Any

_CELLS: Final = 7
_CELL_SIDE: Final = 32
_SEED_FILE: Final = "seed.txt"


def weights(seed: int) -> npt.NDArray[np.float32]:
    """The whole network: float32 [3, 7], from mean colour to diagnosis."""
    return np.random.default_rng(seed).normal(0, 3, (3, len(CODES))).astype(np.float32)


def expected(images: Images, seed: int, *, unlikeness: bool = False) -> Prediction:
    """What the version made from `seed` says of uint8 [n, 224, 224, 3].

    With `unlikeness` it also says how much bluer than red they are, 0 to 1: no lesion is.
    """
    shape = (len(images), _CELLS, _CELL_SIDE, _CELLS, _CELL_SIDE, 3)
    cells = (images / np.float32(255)).astype(np.float32).reshape(shape).mean(axis=(2, 4))
    activation_map = cells @ weights(seed)
    logits = activation_map.mean(axis=(1, 2))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    colour = cells.mean(axis=(1, 2))
    bluer = np.maximum(colour[:, 2] - colour[:, 0], np.float32(0))
    return Prediction(
        powers / powers.sum(axis=1, keepdims=True), activation_map, bluer if unlikeness else None
    )


class PlainEngine:
    """A network in numpy."""

    name = "plain"
    platform = "numpy"
    lanes = 0

    def __init__(self, seed: int, *, unlikeness: bool = False) -> None:
        self.seed = seed
        self.unlikeness = unlikeness
        self.closed = False

    def predict(self, images: Images) -> Prediction:
        assert not self.closed, "a closed engine was run"
        return expected(images, self.seed, unlikeness=self.unlikeness)

    def close(self) -> None:
        self.closed = True


def publish_plain(store: ModelStore, seed: int, **changes: object) -> StoredVersion:
    """Publish a version for `load_plain`; `changes` are of the manifest."""

    def fill(folder: Path) -> Manifest:
        (folder / _SEED_FILE).write_text(str(seed))
        return made_manifest(**changes)

    return store.publish(fill)


def load_plain(stored: StoredVersion) -> Engine:
    """Load what `publish_plain` published."""
    seed = int((stored.path / _SEED_FILE).read_text())
    return PlainEngine(seed, unlikeness=stored.manifest.unlikeness is not None)


def loaded(stored: StoredVersion, engine: Engine) -> LoadedModel:
    """Give a version that decides by the default settings."""
    return LoadedModel(stored, engine, DecisionPolicy().rule_for(stored.manifest), "0" * 64)


class SavedModels:
    """Makes each SavedModel once a test session, whatever the number of workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(
        self,
        store: ModelStore,
        seed: int,
        flaw: QualityIssue = "none",
        *,
        litert: bool = False,
        **changes: object,
    ) -> StoredVersion:
        """Publish the version made from `seed`, with what is wrong with it.

        `changes` are of the manifest. The network tells `unlikeness` in any case.

        With `litert` it has the files of the LiteRT engines too, both of them float32, and the
        manifest says that they agree.
        """

        def fill(folder: Path) -> Manifest:
            shutil.copytree(self._made(seed, flaw), folder, dirs_exist_ok=True)
            if not litert:
                return made_manifest(**changes)
            for file in LITERT_FILES.values():
                (folder / file).parent.mkdir(exist_ok=True)
                shutil.copyfile(self._converted(seed, flaw), folder / file)
            agreement = dict.fromkeys(LITERT_FILES, made_agreement())
            return made_manifest(agreement=agreement, **changes)

        return store.publish(fill)

    def _made(self, seed: int, flaw: QualityIssue) -> Path:
        return self._once(f"{seed}-{flaw}", lambda path: _save(path, seed, flaw))

    def _converted(self, seed: int, flaw: QualityIssue) -> Path:
        saved = self._made(seed, flaw)
        return self._once(f"{seed}-{flaw}-tflite", lambda path: _convert(saved, path, flaw))

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        made = self._folder / name
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                unfinished = made.with_suffix(".unfinished")
                make(unfinished)
                unfinished.rename(made)
        return made


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> SavedModels:
    base = tmp_path_factory.getbasetemp()
    # Workers of one session have their folders side by side.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "saved-models"
    folder.mkdir(exist_ok=True)
    return SavedModels(folder)


def _save(folder: Path, seed: int, flaw: QualityIssue) -> None:
    # Where TensorFlow is not needed it is not imported: that takes many seconds.
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(weights(seed))

    def answer(image: Tensor) -> dict[str, Tensor]:
        scaled = tf.cast(image, tf.float32) / 255.0
        cells = tf.nn.avg_pool2d(scaled, _CELL_SIDE, _CELL_SIDE, "VALID")
        activation_map = tf.einsum("nhwc,ck->nhwk", cells, module.weights)
        probabilities = tf.nn.softmax(tf.reduce_mean(activation_map, axis=(1, 2)))
        if flaw == "nan":
            probabilities = probabilities / tf.zeros_like(probabilities) * 0.0
        if flaw == "classes":
            probabilities = probabilities[:, :6]
        if flaw == "sum":
            probabilities = probabilities * 2.0
        colour = tf.reduce_mean(cells, axis=(1, 2))
        outputs = {
            "probabilities": probabilities,
            "activation_map": activation_map,
            "unlikeness": tf.nn.relu(colour[:, 2] - colour[:, 0]),
        }
        if flaw == "untold":
            del outputs["unlikeness"]
        return outputs

    dtype = tf.float32 if flaw == "input" else tf.uint8
    image = tf.TensorSpec([None, 224, 224, 3], dtype, name="image")
    served = tf.function(answer, input_signature=[image])
    module.served = served
    tf.saved_model.save(module, str(folder), signatures={_signature(flaw): served})


def _convert(saved: Path, file: Path, flaw: QualityIssue) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved), signature_keys=[_signature(flaw)]
    )
    file.write_bytes(converter.convert())


def _signature(flaw: QualityIssue) -> str:
    return "another" if flaw == "signature" else "serving_default"
