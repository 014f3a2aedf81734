import pytest
from hypothesis import given
from hypothesis import strategies as st

from lentigo_contract.errors import ImageTooLargeError
from lentigo_inference.api.requests.multipart import ImageForm
from lentigo_inference.errors import MalformedRequestError

TYPE = "multipart/form-data; boundary=edge"


def part(content: bytes, name: str = "image", more: str = "") -> bytes:
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = b"--edge--\r\n"


def parsed(*bodies: bytes, limit: int = 10_000, images: int = 1, kind: str = TYPE) -> list[bytes]:
    form = ImageForm(kind, limit, images)
    for body in bodies:
        form.feed(body)
    return form.images()


def refusal(*bodies: bytes, kind: str = TYPE) -> str:
    with pytest.raises(MalformedRequestError) as caught:
        parsed(*bodies, kind=kind)
    return str(caught.value)


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_however_the_body_is_cut_the_content_is_the_same(content: bytes, cuts: list[int]) -> None:
    body = part(content, more='; filename="lesion.jpg"\r\nContent-Type: image/jpeg') + END
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(body[start : start + cut])
        start += cut
    assert parsed(*pieces, body[start:]) == [content]


@pytest.mark.parametrize("content", [b"\r\n--edg", b"\r\n--edgeX", b"--edge", b"\r\n\r\n", b"\r"])
def test_content_that_resembles_a_boundary_stays_whole(content: bytes) -> None:
    body = part(content) + END
    assert parsed(*(body[i : i + 1] for i in range(len(body)))) == [content]


def test_another_field_is_refused_and_the_right_one_named() -> None:
    assert '"image"' in refusal(part(b"x", name="file") + END)


def test_a_further_field_is_refused_and_the_right_one_named() -> None:
    assert '"image"' in refusal(part(b"x") + part(b"y", name="patient") + END)


def test_a_second_image_is_refused() -> None:
    assert "more than once" in refusal(part(b"x") + part(b"y") + END)


def test_several_images_come_in_order_where_they_are_allowed() -> None:
    assert parsed(part(b"x") + part(b"y") + END, images=2) == [b"x", b"y"]


def test_a_form_without_parts_is_refused_and_the_field_named() -> None:
    assert '"image"' in refusal(END)


@pytest.mark.parametrize("body", [b"", b"--edge\r\n", part(b"x"), part(b"x") + b"--edge"])
def test_a_form_that_is_cut_off_is_refused(body: bytes) -> None:
    assert "cut off" in refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary here",
        b"--edge\r\nno colon\r\n\r\n",
        b"--edge\r\n" + b"X-A: b\r\n" * 100 + b"\r\n",
        b"--edge\r\nContent-Disposition: " + b"x" * 100_000,
        b"--edge\r\n\r\nx\r\n--edge--\r\n",
    ],
    ids=["text", "header", "many headers", "long header", "no name"],
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    assert "image" in refusal(body)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"\r"),
        (part(b"x") + b"--edge", b" "),
        (part(b"x") + END, b"z"),
        (part(b"x")[:-2], b"\r\n--edgeX"),
    ],
    ids=["preamble", "padding", "epilogue", "delimiters"],
)
def test_a_body_that_keeps_the_parser_busy_is_refused(start: bytes, piece: bytes) -> None:
    form = ImageForm(TYPE, max_image_bytes=20 * 2**20)
    form.feed(start)
    with pytest.raises(MalformedRequestError, match="malformed"):
        keep_feeding(form, piece * 10_000)


def keep_feeding(form: ImageForm, piece: bytes) -> None:
    for _ in range(32):
        form.feed(piece)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_missing_boundary_is_refused(kind: str) -> None:
    assert "boundary" in refusal(kind=kind)


def test_a_content_type_of_many_parameters_is_refused_unread() -> None:
    kind = f"multipart/form-data; {'a=b; ' * 300}boundary=edge"
    assert "1,024 characters" in refusal(kind=kind)


def test_a_too_long_boundary_is_refused() -> None:
    assert "boundary" in refusal(kind=f"multipart/form-data; boundary={'b' * 300}")


def test_an_image_over_the_limit_is_refused_before_it_is_kept() -> None:
    form = ImageForm(TYPE, max_image_bytes=10)
    form.feed(part(b"x" * 8)[:-2])
    with pytest.raises(ImageTooLargeError, match="10 bytes"):
        form.feed(b"y" * 60)
