"""A network of the trainer, exported, published and served, against Keras on the same file."""

from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image, made_manifest
from tests.inference.live_app import running


@pytest.mark.anyio
async def test_served_probabilities_are_those_of_keras_on_the_same_file(tmp_path: Path) -> None:
    from lentigo_trainer.export.saved_model import export_saved_model
    from lentigo_trainer.models.classifier import build
    from lentigo_trainer.models.registry import architecture

    network = build(architecture("mobilenet"), weights="random", seed=3)
    # Keras' own start values let no signal through: all seven would be alike.
    head = network.whole.layers[-1]
    generator = np.random.default_rng(3)
    kernel, bias = head.get_weights()
    head.set_weights([generator.normal(0, 30, kernel.shape), generator.normal(0, 1, bias.shape)])

    def fill(folder: Path) -> Manifest:
        return made_manifest(activation_map=export_saved_model(network, folder))

    store = ModelStore(tmp_path / "models")
    store.publish(fill)
    files = [jpeg_bytes(lesion_image(seed, code)) for seed, code in enumerate(CODES[:3])]
    pixels = np.stack([read_image(data).pixels for data in files]).astype(np.float32)
    logits = np.asarray(network.whole(pixels, training=False), dtype=np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    truth = powers / powers.sum(axis=1, keepdims=True)
    assert truth.std() > 1e-2
    async with running(Settings(model_repository=store.root), load=None) as service:
        for data, row in zip(files, truth, strict=True):
            answer = (await service.predict(data)).json()
            served = {entry["code"]: entry["probability"] for entry in answer["probabilities"]}
            assert [served[code] for code in CODES] == pytest.approx(row, abs=1e-5)
