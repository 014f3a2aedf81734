import pytest
from pydantic import ValidationError

from lentigo_gateway.rules import (
    DEFAULT_RULES,
    IMAGE_CLASSES,
    OUR_MANUFACTURER,
    InstanceHeader,
    Rule,
    takes,
)

DERMOSCOPIC = InstanceHeader(
    sop_class=IMAGE_CLASSES["dermoscopic"],
    modality="DMS",
    body_site="BACK",
    station="DERM1",
    descriptions=("Skin check", "Dermoscopy left"),
    manufacturer="Camera Works",
)
PHOTOGRAPH = InstanceHeader(sop_class=IMAGE_CLASSES["photograph"], modality="XC")
CT = InstanceHeader(sop_class="1.2.840.10008.5.1.4.1.1.2", modality="CT")
REPORT = InstanceHeader(sop_class="1.2.840.10008.5.1.4.1.1.88.34", modality="SR")


def test_by_default_only_dermoscopic_photographs_are_taken() -> None:
    assert takes(DEFAULT_RULES, DERMOSCOPIC)
    assert not takes(DEFAULT_RULES, PHOTOGRAPH)


def test_a_class_that_cannot_be_answered_is_never_taken() -> None:
    everything = [Rule()]
    assert not takes(everything, CT)
    assert not takes(everything, REPORT)


def test_a_result_of_our_own_is_never_taken() -> None:
    ours = InstanceHeader(
        sop_class=IMAGE_CLASSES["secondary-capture"], manufacturer=OUR_MANUFACTURER
    )
    assert not takes([Rule()], ours)


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        (Rule(modality=("DMS",)), True),
        (Rule(modality=("XC", "dms")), True),
        (Rule(modality=("XC",)), False),
        (Rule(station=("DERM*",)), True),
        (Rule(station=("DERM?",)), True),
        (Rule(station=("DERM",)), False),
        (Rule(description=("*dermoscopy*",)), True),
        (Rule(description=("Skin*",)), True),
        (Rule(description=("MRI*",)), False),
        (Rule(body_site=("back", "arm")), True),
        (Rule(body_site=("arm",)), False),
        (Rule(modality=("DMS",), station=("OTHER",)), False),
        (Rule(sop_class=("photograph", "dermoscopic")), True),
        (Rule(sop_class=("photograph",)), False),
    ],
)
def test_every_given_member_must_match(rule: Rule, taken: bool) -> None:
    assert takes([rule], DERMOSCOPIC) is taken


def test_the_first_rule_that_matches_decides() -> None:
    rules = [Rule(take=False, station=("DERM1",)), Rule()]
    assert not takes(rules, DERMOSCOPIC)
    assert takes(rules, PHOTOGRAPH)


def test_what_no_rule_matches_is_not_taken() -> None:
    assert not takes([Rule(modality=("DMS",))], PHOTOGRAPH)


def test_a_long_value_is_cut_before_patterns_are_tried() -> None:
    header = InstanceHeader(IMAGE_CLASSES["photograph"], station="a" * 1_000_000)
    assert not takes([Rule(station=("*a*a*a*a*a*b",))], header)


def test_a_rule_has_no_other_members() -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"sop_clas": ["dermoscopic"]})
    with pytest.raises(ValidationError):
        Rule.model_validate({"sop_class": ["ct"]})
