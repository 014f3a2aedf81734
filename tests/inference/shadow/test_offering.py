"""Which answered images the service offers to a version on trial."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.api.dependencies import _current_state
from lentigo_inference.cli import main
from lentigo_inference.settings import Settings
from lentigo_inference.shadow.process import Offer
from lentigo_inference.shadow.trial import ShadowTrial
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded
from tests.inference.live_app import PREDICTIONS, Running, running
from tests.models import publish_plain

Captured = pytest.CaptureFixture[str]


@dataclass
class Offered:
    """Takes the place of a trial."""

    offers: list[Offer] = field(default_factory=list)

    def offer(self, offer: Offer) -> None:
        self.offers.append(offer)


def with_trial(service: Running) -> Offered:
    """Let the routes of a running service see a trial."""
    offered = Offered()
    state = replace(service.state, shadow=cast("ShadowTrial", offered))
    service.app.dependency_overrides[_current_state] = lambda: state
    return offered


@pytest.mark.anyio
async def test_every_answer_is_offered_with_the_pixels_that_it_was_about(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        trial = with_trial(service)
        answer = (await service.predict()).json()
        parts = [("image", jpeg_bytes(lesion_image(seed))) for seed in range(2)]
        batch = await service.client.post(f"{PREDICTIONS}:batch", files=[*parts, ("image", b"x")])
    ids = [answer["id"], *(each["id"] for each in batch.json()["results"] if "id" in each)]
    assert [each.served.answer for each in trial.offers] == ids
    first = trial.offers[0]
    assert first.served.version == 1
    assert first.served.diagnosis == answer["diagnosis"]["code"]
    assert first.served.refer == answer["malignancy"]["refer"]
    assert first.served.image_sha256 == answer["image"]["sha256"]
    assert first.pixels.shape == (224, 224, 3)


@pytest.mark.anyio
async def test_an_image_that_no_version_would_see_is_offered_only_if_forced(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    blank = encoded(Image.new("RGB", (300, 225), (226, 178, 160)), "PNG")
    async with running(settings) as service:
        trial = with_trial(service)
        await service.predict(blank)
        await service.predict(b"")
        assert trial.offers == []
        await service.predict(blank, force="true")
    (offer,) = trial.offers
    assert (offer.issues, offer.force) == (("blank",), True)


def test_a_version_is_not_its_own_shadow(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("LENTIGO_MODEL_VERSION", "4")
    monkeypatch.setenv("LENTIGO_SHADOW_VERSION", "4")
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "both name version 4" in line


def test_a_key_that_cannot_be_used_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    monkeypatch.setenv("LENTIGO_PORT", "0")
    monkeypatch.setenv("LENTIGO_MODEL_KEY", str(tmp_path / "missing.pub"))
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "LENTIGO_MODEL_KEY" in line
    assert "cannot be read" in line


@pytest.mark.anyio
async def test_the_service_says_when_it_computes_and_when_nothing_is_left(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        told: list[bool] = []
        service.state.predictor._on_work = told.append
        answers = await asyncio.gather(*(service.predict() for _ in range(3)))
        refused = await service.predict(b"no image")
    assert [each.status_code for each in answers] == [200] * 3
    assert refused.status_code == 415
    assert told[-2:] == [True, False]
    assert told == [True, False] * (len(told) // 2)
