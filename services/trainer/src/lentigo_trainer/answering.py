"""How a version answers: its map, its calibration, and every threshold that it is held to."""

from collections.abc import Mapping
from dataclasses import dataclass

from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import Calibration, MapGeometry, UnlikenessLimit
from lentigo_trainer.abstention import Abstention, choose_abstention
from lentigo_trainer.answers import LabelArray
from lentigo_trainer.engine_answers import EngineAnswers
from lentigo_trainer.operating_point import OperatingPoint, choose_operating_point
from lentigo_trainer.unlikeness.limit import choose_limit


@dataclass(frozen=True, slots=True)
class Answering:
    """How a version answers.

    Attributes:
        geometry: cells of its activation map.
        calibration: of its probabilities.
        point: from which probability of malignancy it refers.
        abstention: below which probability its diagnosis is not relied on.
        limit: above which unlikeness a picture gets no diagnosis.
    """

    geometry: MapGeometry
    calibration: Calibration
    point: OperatingPoint
    abstention: Abstention
    limit: UnlikenessLimit


def choose_answering(
    geometry: MapGeometry,
    calibration: Calibration,
    method: str,
    truth: LabelArray,
    serving: Mapping[EngineName, EngineAnswers],
    chosen_on: str,
) -> Answering:
    """Choose every threshold on the same images, for every engine that may serve.

    Args:
        geometry: of the version's activation map.
        calibration: of its probabilities, which the answers have already.
        method: what its unlikeness is, in words.
        truth: class numbers, [n].
        serving: what each of those engines said of the n images.
        chosen_on: the images, in words.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: answers that cannot be.
    """
    probabilities = {engine: said.probabilities for engine, said in serving.items()}
    told = {
        engine: said.unlikeness for engine, said in serving.items() if said.unlikeness is not None
    }
    return Answering(
        geometry,
        calibration,
        choose_operating_point(truth, probabilities, chosen_on),
        choose_abstention(truth, probabilities, chosen_on),
        choose_limit(told, method, chosen_on),
    )
