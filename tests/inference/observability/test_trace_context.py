import pytest
from starlette.datastructures import Headers

from lentigo_inference.observability.tracing import parent_of, trace_id_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def found(*values: str) -> str | None:
    headers = Headers(raw=[(b"traceparent", value.encode("latin-1")) for value in values])
    return trace_id_of(parent_of(headers))


def test_the_trace_of_the_caller_is_found() -> None:
    assert found(PARENT) == TRACE


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known() -> None:
    assert found(f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-then") == TRACE


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("no parent",),
        (PARENT, PARENT),
        (PARENT.upper(),),
        (f"ff{PARENT[2:]}",),
        (f"{PARENT}-more",),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"00-{TRACE[:-1]}-00f067aa0ba902b7-01",),
        ("0" * 100_000,),
        ("ä\x7f\x01",),
    ],
    ids=range(12),
)
def test_an_invalid_traceparent_is_ignored(values: tuple[str, ...]) -> None:
    assert found(*values) is None
