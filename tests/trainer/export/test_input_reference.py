import numpy as np
import pytest
from PIL import Image, ImageFilter

from lentigo_contract.imaging.quality import assess_quality
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.manifest.input_reference import LEVELS
from lentigo_trainer.export.input_reference import measure_input
from tests.fakes import lesion_image, made_unlikeness

SIDES = (MODEL_SIDE, MODEL_SIDE)
LESIONS = [np.asarray(lesion_image(seed, size=SIDES)) for seed in range(11)]
BLURRED = np.asarray(Image.fromarray(LESIONS[0]).filter(ImageFilter.GaussianBlur(8)), np.uint8)


def test_the_quantiles_are_those_of_what_the_service_measures() -> None:
    found = measure_input(LESIONS, None, None, "drawn")
    brightness = [assess_quality(each, *SIDES).brightness for each in LESIONS]
    assert (found.images, found.n, found.refused) == ("drawn", 11, 0)
    assert len(found.brightness) == len(found.sharpness) == len(LEVELS)
    assert found.brightness[0] == pytest.approx(min(brightness), rel=1e-5)
    assert found.brightness[10] == pytest.approx(np.median(brightness), rel=1e-5)
    assert found.brightness[-1] == pytest.approx(max(brightness), rel=1e-5)
    assert found.unlikeness is None


def test_what_cannot_be_judged_is_counted_once() -> None:
    unlikeness = np.array([2.0, 2.0, *[0.1] * 9], np.float32)
    found = measure_input([BLURRED, *LESIONS[1:]], unlikeness, made_unlikeness(1.0), "drawn")
    assert found.refused == 2
    assert found.unlikeness is not None
    assert found.unlikeness[-1] == 2.0
