import re

from lentigo_gateway.uids import uid_maker


def test_a_uid_is_the_same_for_the_same_instance_model_and_purpose() -> None:
    assert uid_maker("1.2.3", "a" * 64)("report") == uid_maker("1.2.3", "a" * 64)("report")


def test_another_instance_model_or_purpose_gives_another_uid() -> None:
    uids = {
        uid_maker(instance, digest)(purpose)
        for instance in ("1.2.3", "1.2.4")
        for digest in ("a" * 64, "b" * 64)
        for purpose in ("report", "capture")
    }
    assert len(uids) == 8


def test_a_uid_is_never_another_one_than_in_earlier_releases() -> None:
    # Otherwise an archive would get every result a second time after an update.
    assert uid_maker("1.2.3", "a" * 64)("report") == "2.25.219319944919142185475643035766032200038"


def test_a_uid_has_the_form_of_a_uuid_below_2_25() -> None:
    uid = uid_maker("1.2.3", "a" * 64)("report")
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", uid)
    assert len(uid) <= 64
