"""The map that the service shows is the network's own: shuffle the weights, and it is another.

The model randomisation test of Adebayo et al. (NeurIPS 2018), which maps that only trace the edges
of the image pass through unchanged, here through the exported files and the service's engines.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.engines import LITERT_FILES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_inference.engines.selection import engine_loader
from lentigo_inference.settings import EngineSetting
from tests.fakes import jpeg_bytes, lesion_image, made_manifest

if TYPE_CHECKING:
    from lentigo_trainer.models.classifier import Network

Maps = npt.NDArray[np.float32]

SHARES = ("all weights", "the head")


def published(store: ModelStore, network: "Network") -> StoredVersion:
    from lentigo_trainer.export.litert import float32_model
    from lentigo_trainer.export.saved_model import export_saved_model

    def fill(folder: Path) -> Manifest:
        geometry = export_saved_model(network, folder)
        file = folder / LITERT_FILES["litert"]
        file.parent.mkdir()
        # Without the int8 file, whose rounding takes minutes.
        file.write_bytes(float32_model(folder))
        return made_manifest(activation_map=geometry)

    return store.publish(fill)


def shuffle(network: "Network", share: str) -> None:
    """Give kernels their own values in another order."""
    layers = network.whole.layers
    generator = np.random.default_rng(7)
    for layer in layers if share == "all weights" else layers[-1:]:
        for variable in layer.variables:
            if "kernel" in variable.path:
                values = np.asarray(variable).ravel()
                variable.assign(generator.permutation(values).reshape(variable.shape))


def pixels(n: int) -> npt.NDArray[np.uint8]:
    files = (jpeg_bytes(lesion_image(seed, CODES[seed % len(CODES)])) for seed in range(n))
    return np.stack([read_image(data).pixels for data in files])


def correlations(before: Maps, after: Maps) -> npt.NDArray[np.float64]:
    """Correlation of each map with the same map after; maps with nothing in them are left out."""
    flat = (maps.transpose(0, 3, 1, 2).reshape(-1, 49) for maps in (before, after))
    pairs = [pair for pair in zip(*flat, strict=True) if min(map(np.ptp, pair)) > 0]
    return np.array([np.corrcoef(*pair)[0, 1] for pair in pairs])


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoredVersion]:
    """A MobileNet as it was drawn and with weights shuffled, each exported and published."""
    from tests.trainer.networks import lively_mobilenet

    store = ModelStore(tmp_path_factory.mktemp("shuffled") / "models")
    made = {"as it was": published(store, lively_mobilenet(5))}
    for share in SHARES:
        network = lively_mobilenet(5)
        shuffle(network, share)
        made[share] = published(store, network)
    return made


def maps_of(stored: StoredVersion, engine: EngineSetting) -> Maps:
    opened = engine_loader(1, engine)(stored)
    try:
        return opened.predict(pixels(6)).activation_map
    finally:
        opened.close()


# Three real networks are exported, which takes a busy machine minutes.
pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("engine", ["savedmodel", "litert"])
@pytest.mark.parametrize("share", SHARES)
def test_the_map_is_another_when_weights_are_shuffled(
    versions: dict[str, StoredVersion], engine: EngineSetting, share: str
) -> None:
    before = maps_of(versions["as it was"], engine)
    found = correlations(before, maps_of(versions[share], engine))
    # Of 42: six pictures, seven diagnoses.
    assert len(found) > 20
    assert np.median(np.abs(found)) < 0.5


def test_the_same_weights_give_the_same_map(versions: dict[str, StoredVersion]) -> None:
    stored = versions["as it was"]
    assert (stored.path / LITERT_FILES["litert"]).exists()
    before, again = maps_of(stored, "savedmodel"), maps_of(stored, "litert")
    np.testing.assert_allclose(before, again, atol=1e-4)
    assert correlations(before, again).min() > 0.999
