import uuid

from lentigo_inference.observability.identifiers import uuid7


def test_it_is_a_uuid_of_version_7() -> None:
    made = uuid7()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_identifiers_sort_by_time() -> None:
    made = [uuid7(milliseconds) for milliseconds in (0, 1, 2**40, 2**48 - 1)]
    assert made == sorted(made)


def test_the_time_is_encoded_as_in_the_example_of_the_standard() -> None:
    """RFC 9562, appendix A.6."""
    assert str(uuid7(0x017F22E279B0)).startswith("017f22e2-79b0-7")


def test_identifiers_of_the_same_millisecond_differ() -> None:
    assert len({uuid7(1) for _ in range(1000)}) == 1000
