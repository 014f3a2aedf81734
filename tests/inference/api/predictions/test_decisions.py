"""The diagnosis, decided apart from the probabilities, and the prevalence of a clinic."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from lentigo_contract.decision import at_prevalence
from lentigo_contract.labels import CODES, MALIGNANT
from lentigo_contract.manifest.manifest import Thresholds
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.engines.selection import EngineLoader
from lentigo_inference.settings import Settings
from tests.inference.live_app import Running, running
from tests.inference.observability.scraping import scrape
from tests.models import PlainEngine, SavedModels, expected, publish_plain

pytestmark = pytest.mark.anyio

# About HAM10000's.
DECLARED: Final[Prevalence] = dict(
    zip(CODES, (0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02), strict=True)
)
# A screening clinic: fewer of the malignant diagnoses.
CLINIC: Final[Prevalence] = dict(
    zip(CODES, (0.01, 0.02, 0.12, 0.02, 0.01, 0.80, 0.02), strict=True)
)
# Basal cell carcinoma is 2.5 times as probable here as it is frequent, a nevus 0.9 times.
TORN: Final = (0.0, 0.125, 0.0, 0.0, 0.25, 0.625, 0.0)
THRESHOLDS: Final = Thresholds(malignancy=0.125, source="made up", abstention=0.5)


class Fixed(PlainEngine):
    """Says the same of every image, and supports each diagnosis in another cell."""

    def __init__(self, row: tuple[float, ...]) -> None:
        super().__init__(seed=1)
        self._row = np.array([row], np.float32)

    def predict(self, images: Images) -> Prediction:
        count = len(images)
        support = np.zeros((count, 7, 7, 7), np.float32)
        support[:, range(7), range(7), range(7)] = 1
        return Prediction(np.repeat(self._row, count, axis=0), support)


def saying(row: tuple[float, ...] = TORN) -> EngineLoader:
    def load(_stored: StoredVersion) -> Engine:
        return Fixed(row)

    return load


def changed(settings: Settings, **changes: object) -> Settings:
    return Settings.model_validate({**settings.model_dump(), **changes})


def shares_file(folder: Path, shares: Prevalence) -> Path:
    path = folder / "clinic.toml"
    path.write_text("".join(f"{code} = {share}\n" for code, share in shares.items()))
    return path


async def listed(service: Running) -> dict[str, Any]:
    (model,) = (await service.client.get("/v1/models")).json()["models"]
    described: dict[str, Any] = model
    return described


def by_code(answer: dict[str, Any]) -> dict[str, float]:
    return {entry["code"]: entry["probability"] for entry in answer["probabilities"]}


async def test_a_version_without_a_prevalence_answers_as_before(
    settings: Settings, store: ModelStore
) -> None:
    stored = publish_plain(store, 1, thresholds=THRESHOLDS)
    async with running(settings, saying()) as service:
        answer = (await service.predict()).json()
        model = await listed(service)
    for changing in ("id", "image"):
        del answer[changing]
    assert answer == {
        "model": {
            "name": "lentigo",
            "version": "1",
            "architecture": "mobilenet",
            "engine": "plain",
            "digest": hashlib.sha256((stored.path / MANIFEST_NAME).read_bytes()).hexdigest(),
        },
        "quality": {
            "accepted": True,
            "reasons": [],
            "unlikeness": None,
            "unlikeness_limit": None,
        },
        "diagnosis": {
            "code": "nv",
            "name": "Melanocytic nevus",
            "probability": 0.625,
            "decided_by": "probable",
            "confident": True,
        },
        "probabilities": [
            {"code": code, "name": name, "probability": probability, "malignant": malignant}
            for code, name, probability, malignant in (
                ("nv", "Melanocytic nevus", 0.625, False),
                ("mel", "Melanoma", 0.25, True),
                ("bcc", "Basal cell carcinoma", 0.125, True),
                ("akiec", "Actinic keratosis or intraepithelial carcinoma", 0.0, True),
                ("bkl", "Benign keratosis", 0.0, False),
                ("df", "Dermatofibroma", 0.0, False),
                ("vasc", "Vascular lesion", 0.0, False),
            )
        ],
        "malignancy": {
            "probability": 0.375,
            "threshold": 0.125,
            "refer": True,
            "reasons": ["malignancy"],
        },
        "notice": "Research use only. Not a medical device.",
    }
    assert (model["decided_by"], model["prevalence"], model["prevalence_source"]) == (
        "probable",
        None,
        None,
    )
    assert model["decided_by_reason"] == "the version declares no prevalence"
    assert model["malignancy_source"] == "sum of the probabilities of akiec, bcc, mel"


async def test_where_the_two_differ_the_answer_says_both(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, prevalence=DECLARED, thresholds=THRESHOLDS)
    async with running(settings, saying()) as service:
        answer = (await service.predict()).json()
        model = await listed(service)
    members = list(answer)
    assert members[members.index("diagnosis") + 1] == "most_probable"
    assert answer["diagnosis"] == {
        "code": "bcc",
        "name": "Basal cell carcinoma",
        "probability": 0.125,
        "decided_by": "balanced",
        # The network is sure enough of this image, whichever way it is decided.
        "confident": True,
    }
    assert answer["most_probable"] == {
        "code": "nv",
        "name": "Melanocytic nevus",
        "probability": 0.625,
    }
    assert [entry["code"] for entry in answer["probabilities"]][:3] == ["nv", "mel", "bcc"]
    assert answer["malignancy"]["reasons"] == ["malignancy"]
    assert (model["decided_by"], model["prevalence_source"]) == ("balanced", "version")
    assert model["prevalence"] == DECLARED


async def test_where_they_are_the_same_it_is_said_once(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, prevalence=DECLARED)
    sure = (0.0, 0.0, 0.0, 0.0, 0.0625, 0.9375, 0.0)
    async with running(settings, saying(sure)) as service:
        answer = (await service.predict()).json()
    assert (answer["diagnosis"]["code"], answer["diagnosis"]["decided_by"]) == ("nv", "balanced")
    assert "most_probable" not in answer


async def test_the_operator_may_decide_by_probability(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, prevalence=DECLARED, thresholds=THRESHOLDS)
    async with running(changed(settings, decision="probable"), saying()) as service:
        answer = (await service.predict()).json()
        model = await listed(service)
    assert (answer["diagnosis"]["code"], answer["diagnosis"]["decided_by"]) == ("nv", "probable")
    assert "most_probable" not in answer
    assert model["decided_by_reason"] == "LENTIGO_DECISION=probable"


@pytest.mark.parametrize("row", [TORN, (0.0, 0.0, 0.3, 0.05, 0.05, 0.6, 0.0)])
@pytest.mark.parametrize("decision", ["balanced", "probable"])
@pytest.mark.parametrize("moved", [False, True])
async def test_no_setting_changes_which_lesions_are_referred(
    settings: Settings,
    store: ModelStore,
    tmp_path: Path,
    row: tuple[float, ...],
    decision: str,
    moved: bool,
) -> None:
    publish_plain(store, 1, prevalence=DECLARED, thresholds=THRESHOLDS)
    plain = changed(settings, decision=decision)
    if moved:
        plain = changed(plain, prevalence=shares_file(tmp_path, CLINIC))
    async with running(plain, saying(row)) as service:
        malignancy = (await service.predict()).json()["malignancy"]
    own = sum(share for share, malignant in zip(row, MALIGNANT, strict=True) if malignant)
    assert malignancy["refer"] is (own >= THRESHOLDS.malignancy)
    assert (malignancy["probability"] >= malignancy["threshold"]) is malignancy["refer"]


async def test_a_clinics_prevalence_moves_the_probabilities_and_not_the_balanced_decision(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    publish_plain(store, 1, prevalence=DECLARED, thresholds=THRESHOLDS)
    clinic = changed(settings, prevalence=shares_file(tmp_path, CLINIC))
    async with running(clinic, saying()) as service:
        answer = (await service.predict()).json()
        model = await listed(service)
    truth = at_prevalence(np.array(TORN), DECLARED, CLINIC)
    assert by_code(answer) == pytest.approx(dict(zip(CODES, truth.tolist(), strict=True)))
    assert answer["diagnosis"]["code"] == "bcc"
    assert answer["most_probable"]["code"] == "nv"
    # The odds of malignancy were 0.19 to 0.81 and are 0.04 to 0.96.
    ratio = (0.04 / 0.96) / (0.19 / 0.81)
    odds = (0.375 / 0.625) * ratio, (0.125 / 0.875) * ratio
    assert answer["malignancy"]["probability"] == pytest.approx(odds[0] / (1 + odds[0]))
    assert answer["malignancy"]["threshold"] == pytest.approx(odds[1] / (1 + odds[1]))
    assert model["threshold"] == answer["malignancy"]["threshold"]
    assert model["threshold_source"].startswith("made up; moved from 0.125 to the prevalence")
    assert model["prevalence_source"] == "clinic"
    assert model["prevalence"] == pytest.approx(CLINIC)


async def test_a_clinics_prevalence_may_change_the_most_probable_diagnosis(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    publish_plain(store, 1, prevalence=DECLARED)
    cancers = dict(zip(CODES, (0.1, 0.1, 0.1, 0.05, 0.5, 0.1, 0.05), strict=True))
    clinic = changed(settings, decision="probable", prevalence=shares_file(tmp_path, cancers))
    async with running(clinic, saying()) as service:
        answer = (await service.predict(explain="all")).json()
    assert answer["diagnosis"]["code"] == answer["probabilities"][0]["code"] == "mel"
    assert answer["activation_map"] == answer["activation_maps"][0]


async def test_a_version_that_cannot_be_moved_is_refused(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    publish_plain(store, 1, prevalence=DECLARED)
    publish_plain(store, 2)
    clinic = changed(settings, prevalence=shares_file(tmp_path, CLINIC))
    async with running(clinic, saying()) as service:
        model = await listed(service)
        index = (await service.client.post("/v2/repository/index")).json()
    assert model["version"] == "1"
    (refused,) = [entry for entry in index if entry["version"] == "2"]
    assert "declares no prevalence" in refused["reason"]
    assert "LENTIGO_PREVALENCE" in refused["reason"]


async def test_malignancy_is_calibrated_by_itself(settings: Settings, store: ModelStore) -> None:
    calibration = MalignancyCalibration(slope=0.5, intercept=-1.0, source="made-up answers")
    publish_plain(
        store,
        1,
        prevalence=DECLARED,
        malignancy_calibration=calibration,
        thresholds=Thresholds(malignancy=0.25, source="made up"),
    )
    async with running(settings, saying()) as service:
        answer = (await service.predict()).json()
        model = await listed(service)
    odds = (0.375 / 0.625) ** 0.5 * np.exp(-1)
    assert answer["malignancy"]["probability"] == pytest.approx(odds / (1 + odds))
    assert answer["malignancy"]["refer"] is False
    assert by_code(answer)["mel"] == 0.25
    assert model["malignancy_source"] == "made-up answers"


async def test_the_map_is_that_of_the_diagnosis(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1, prevalence=DECLARED)
    async with running(settings, saying()) as service:
        one = (await service.predict(explain="true")).json()
        every = (await service.predict(explain="all")).json()
    assert one["activation_map"]["code"] == one["diagnosis"]["code"] == "bcc"
    assert every["activation_map"] == one["activation_map"]
    codes = [drawn["code"] for drawn in every["activation_maps"]]
    assert codes == [entry["code"] for entry in every["probabilities"]]


async def test_an_unconfident_image_is_referred_however_it_is_decided(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(
        store,
        1,
        prevalence=DECLARED,
        thresholds=Thresholds(malignancy=0.9, source="made up", abstention=0.7),
    )
    async with running(settings, saying()) as service:
        answer = (await service.predict()).json()
    assert answer["diagnosis"]["confident"] is False
    assert answer["malignancy"]["reasons"] == ["unconfident"]


async def test_predictions_are_counted_as_decided(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1, prevalence=DECLARED)
    pixels = np.zeros((2, 224, 224, 3), np.uint8)
    tensor = {
        "name": "image",
        "datatype": "UINT8",
        "shape": list(pixels.shape),
        "data": pixels.ravel().tolist(),
    }
    async with running(settings, saying()) as service:
        await service.predict()
        inferred = await service.client.post("/v2/models/lentigo/infer", json={"inputs": [tensor]})
        seen = await scrape(service.client)
    # The tensors are the network's own.
    assert inferred.json()["outputs"][0]["data"] == [*TORN, *TORN]
    assert seen.value("lentigo_predictions_total", diagnosis="bcc") == 3
    assert seen.value("lentigo_predictions_total", diagnosis="nv") == 0


async def test_the_real_runtime_decides_for_balance(
    settings: Settings, store: ModelStore, saved_models: SavedModels
) -> None:
    grey = np.full((1, 224, 224, 3), 128, np.uint8)
    row = expected(grey, seed=5).probabilities[0].astype(float)
    first, second = np.argsort(-row)[:2].tolist()
    # So frequent that its probability is no evidence for it.
    shares = np.full(7, 0.001)
    shares[first] = 1 - 0.006
    declared = dict(zip(CODES, shares.tolist(), strict=True))
    saved_models.publish(store, seed=5, prevalence=declared)
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 224, 224, 3]}
    async with running(settings, load=None) as service:
        await service.client.post(
            "/v2/models/lentigo/infer",
            json={"inputs": [{**tensor, "data": grey.ravel().tolist()}]},
        )
        seen = await scrape(service.client)
    assert seen.value("lentigo_predictions_total", diagnosis=CODES[second]) == 1
