import xml.etree.ElementTree as ET

from lentigo_trainer.reporting.model_card.evidence import Other
from lentigo_trainer.reporting.plots import sensitivities
from lentigo_trainer.reporting.reliability import malignancy, reliability_beside
from tests.trainer.evaluation.cards import made_card


def test_pictures_are_whole_and_the_same_every_time() -> None:
    ours, theirs = made_card(n=60), Other("theirs", made_card(n=60, skill=1.0, version=2))
    for draw in (malignancy, reliability_beside, sensitivities):
        for other in (None, theirs):
            drawn = draw(ours, other)
            assert drawn == draw(ours, other)
            assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - our own text
