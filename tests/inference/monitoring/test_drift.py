import numpy as np
import pytest

from lentigo_contract.labels import CODES, index_of
from lentigo_contract.manifest.input_reference import LEVELS, InputReference, Quantiles
from lentigo_inference.monitoring.drift import LEAST_IMAGES, kolmogorov_smirnov, summarize
from lentigo_inference.monitoring.expected import ExpectedDiagnoses, expected_diagnoses
from lentigo_inference.monitoring.seen import SeenImage, SeenImages
from lentigo_inference.serving.decision import DecisionPolicy
from tests.fakes import made_manifest

UNIFORM: Quantiles = LEVELS
REFERENCE = InputReference(
    images="made up", n=10_000, refused=100, brightness=UNIFORM, sharpness=UNIFORM
)
EVEN = ExpectedDiagnoses(np.full(len(CODES), 1 / len(CODES)), 10_000)


def image(place: int, **changes: object) -> SeenImage:
    fields: dict[str, object] = {
        "time": float(place),
        "brightness": 0.5,
        "sharpness": 0.5,
        "accepted": True,
        "unlikeness": 1.0,
        "diagnosis": place % len(CODES),
        **changes,
    }
    return SeenImage(**fields)  # type: ignore[arg-type]


def uniform(count: int) -> list[SeenImage]:
    """Images that look as the reference does."""
    return [
        image(place, brightness=(place + 0.5) / count, sharpness=1 - (place + 0.5) / count)
        for place in range(count)
    ]


def test_images_like_the_reference_have_not_drifted() -> None:
    found = summarize(uniform(350), REFERENCE, EVEN)
    for feature in (found.brightness, found.sharpness):
        assert feature.median == pytest.approx(0.5, abs=0.01)
        assert feature.reference_median == 0.5
        assert feature.drift.value == pytest.approx(0, abs=0.01)
        assert feature.drift.low == 0
    assert found.diagnoses.drift.value == pytest.approx(0, abs=1e-9)
    assert (found.images, found.since, found.until, found.reference) == (350, 0, 349, "made up")


def test_brighter_images_are_as_far_as_the_share_that_moved() -> None:
    moved = [
        image(place, brightness=2.0 if place % 2 else (place + 0.5) / 400) for place in range(400)
    ]
    found = summarize(moved, REFERENCE, None).brightness
    assert found.drift.value == pytest.approx(0.5, abs=0.01)
    assert found.drift.low is not None
    assert found.drift.low > 0.4


def test_darker_images_are_as_far_as_brighter_ones() -> None:
    dark = summarize([image(place, brightness=-1.0) for place in range(60)], REFERENCE, None)
    bright = summarize([image(place, brightness=2.0) for place in range(60)], REFERENCE, None)
    assert dark.brightness.drift == bright.brightness.drift
    assert dark.brightness.drift.value == 1.0


def test_a_reference_with_one_value_is_near_to_images_with_that_value() -> None:
    same = (3.0,) * len(LEVELS)
    assert kolmogorov_smirnov(np.full(5, 3.0), same) == 0
    assert kolmogorov_smirnov(np.full(5, 4.0), same) == 1
    assert kolmogorov_smirnov(np.array([3.0, 4.0]), same) == 0.5


@pytest.mark.parametrize("count", [0, 1, LEAST_IMAGES - 1])
def test_the_drift_of_too_few_images_is_not_given(count: int) -> None:
    found = summarize(uniform(count), REFERENCE, EVEN)
    assert {(each.value, each.low, each.high) for each in found.drifts().values()} == {
        (None, None, None)
    }
    assert found.brightness.drift.n == count


def test_a_version_without_a_reference_has_medians_and_no_drift() -> None:
    found = summarize(uniform(100), None, None)
    assert found.reference is None
    assert found.brightness.median is not None
    assert found.brightness.reference_median is None
    assert {each.value for each in found.drifts().values()} == {None}
    assert found.refused.share.value == 0


def test_unlikeness_is_of_the_images_that_the_network_saw() -> None:
    reference = REFERENCE.model_copy(update={"unlikeness": UNIFORM})
    blind = [image(place, unlikeness=None, accepted=False) for place in range(70)]
    near = [image(place, unlikeness=(place + 0.5) / 60) for place in range(60)]
    found = summarize([*blind, *near], reference, None)
    assert found.unlikeness.drift.n == 60
    assert found.unlikeness.drift.value == pytest.approx(0, abs=0.02)
    assert found.refused.share.value == 70 / 130
    assert found.refused.expected == 0.01
    assert found.refused.drift.value == pytest.approx(70 / 130 - 0.01)


def test_diagnoses_of_images_that_cannot_be_judged_are_left_out() -> None:
    melanomas = [image(place, diagnosis=index_of("mel"), accepted=False) for place in range(60)]
    found = summarize([*melanomas, *uniform(70)], None, EVEN)
    assert found.diagnoses.drift.n == 70
    assert found.diagnoses.drift.value == pytest.approx(0, abs=1e-9)


def test_one_diagnosis_for_all_is_as_far_as_the_others_were_expected() -> None:
    found = summarize([image(place, diagnosis=0) for place in range(100)], None, EVEN).diagnoses
    assert found.drift.value == pytest.approx(6 / 7)
    assert [each.code for each in found.shares] == list(CODES)
    assert found.shares[0].share.value == 1.0
    assert found.shares[0].expected == pytest.approx(1 / 7)


def test_the_window_keeps_the_latest_images_of_two_versions() -> None:
    seen = SeenImages(window=3)
    for place in range(5):
        seen.add("first", image(place))
    seen.add("second", image(9))
    assert [each.time for each in seen.of("first")] == [2, 3, 4]
    seen.add("third", image(10))
    assert (len(seen.of("first")), len(seen.of("second")), len(seen.of("third"))) == (0, 1, 1)


CONFUSION = [[8 if said == truth else 2 * (said == 5) for said in range(7)] for truth in range(7)]
CONFUSION[5][5] = 30
BALANCED = DecisionPolicy()
CLINIC = {"akiec": 0.1, "bcc": 0.1, "bkl": 0.1, "df": 0.1, "mel": 0.1, "nv": 0.4, "vasc": 0.1}


def expected(policy: DecisionPolicy = BALANCED, **changes: object) -> ExpectedDiagnoses | None:
    manifest = made_manifest(**changes)
    return expected_diagnoses(manifest, policy.rule_for(manifest))


def test_without_a_prevalence_as_many_are_expected_as_were_named() -> None:
    found = expected(metrics={"confusion": CONFUSION})
    assert found is not None
    assert found.n == 90
    assert found.shares == pytest.approx([8 / 90] * 5 + [42 / 90, 8 / 90])


@pytest.mark.parametrize("whose", ["version", "clinic"])
def test_the_prevalence_in_effect_decides_what_is_expected(whose: str) -> None:
    metrics = {"confusion": CONFUSION, "decided_by": "balanced"}
    even = dict.fromkeys(CODES, 1 / 7)
    if whose == "version":
        found = expected(metrics=metrics, prevalence=CLINIC)
    else:
        found = expected(DecisionPolicy(clinic=CLINIC), metrics=metrics, prevalence=even)
    assert found is not None
    assert found.shares.sum() == pytest.approx(1)
    assert found.shares[index_of("mel")] == pytest.approx(0.1 * 0.8)
    assert found.shares[index_of("nv")] == pytest.approx(0.4 + 0.6 * 0.2)


@pytest.mark.parametrize(
    ("policy", "changes"),
    [
        pytest.param(BALANCED, {"metrics": {}}, id="no figures"),
        pytest.param(BALANCED, {"metrics": {"confusion": [[1]]}}, id="another shape"),
        pytest.param(BALANCED, {"metrics": {"confusion": [["1"] * 7] * 7}}, id="no numbers"),
        pytest.param(BALANCED, {"metrics": {"confusion": [[-1] * 7] * 7}}, id="negative"),
        pytest.param(BALANCED, {"metrics": {"confusion": [[0] * 7] * 7}}, id="no images"),
        pytest.param(
            DecisionPolicy("probable"),
            {"metrics": {"confusion": CONFUSION, "decided_by": "balanced"}, "prevalence": CLINIC},
            id="decided otherwise",
        ),
        pytest.param(
            DecisionPolicy("probable", CLINIC),
            {"metrics": {"confusion": CONFUSION}, "prevalence": CLINIC},
            id="moved to another prevalence",
        ),
        pytest.param(
            BALANCED,
            {
                "metrics": {"confusion": [*CONFUSION[:6], [0] * 7], "decided_by": "balanced"},
                "prevalence": CLINIC,
            },
            id="a diagnosis without an image",
        ),
    ],
)
def test_what_a_version_does_not_tell_is_not_expected(
    policy: DecisionPolicy, changes: dict[str, object]
) -> None:
    assert expected(policy, **changes) is None
