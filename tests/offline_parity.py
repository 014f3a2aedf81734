"""The service's answer and the page's own to the same file, held against each other."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image

from lentigo_contract.imaging.read import MODEL_SIDE
from tests.golden_cases import GoldenCase

if TYPE_CHECKING:
    from playwright.sync_api import Page

MAX_DIFFERENCE: Final = 1e-3
"""Of any probability: what the page promises."""

ONLY_THE_SERVICE: Final = "offline-format"
"""How the page refuses what only the service reads: some TIFF files."""

_KEEP: Final = """async () => {
  const { Offline } = await import("./page/offline.js");
  globalThis.offline = new Offline(() => ({}));
  await offline.keep(await offline.offer(), () => undefined, new AbortController().signal);
}"""
_ANSWER: Final = """async ([data, forced]) => {
  const file = new Blob([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))]);
  try {
    return { answer: await offline.answer(file, forced, new AbortController().signal) };
  } catch (error) {
    return { refused: error.slug ?? String(error) };
  }
}"""
_PIXELS: Final = """async (data) => {
  const file = new Blob([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))]);
  const { pixels } = await offline.pixels(file);
  return btoa(Array.from(pixels, (sample) => String.fromCharCode(sample)).join(""));
}"""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or the slug of the problem with which the file was refused."""

    answer: dict[str, Any] | None
    refused: str | None


@dataclass(slots=True)
class Parity:
    """How one side's reply to a case compares with the other's.

    Attributes:
        same: whether both answer, with the same diagnosis, referral and quality, or both refuse for
            the same reason.
        difference: largest one of a probability; 0 where both refuse.
        map_difference: largest one of an activation map, in steps of 255.
        only_service: whether the page says that only the service can read it.
    """

    case: str
    sort: str
    same: bool
    difference: float = 0.0
    map_difference: int = 0
    only_service: bool = False
    notes: list[str] = field(default_factory=list)


def keep_offline(page: "Page") -> None:
    """Let a page of the service keep what it needs to answer by itself."""
    page.evaluate(_KEEP)


def answer_here(page: "Page", data: bytes, *, forced: bool = True) -> Reply:
    """Ask the page itself."""
    reply = page.evaluate(_ANSWER, [base64.b64encode(data).decode("ascii"), forced])
    return Reply(reply.get("answer"), reply.get("refused"))


def pixels_here(page: "Page", data: bytes) -> npt.NDArray[np.uint8]:
    """Return what the page's network would get of a file, uint8 [224, 224, 3]."""
    letters = page.evaluate(_PIXELS, base64.b64encode(data).decode("ascii"))
    flat = np.frombuffer(base64.b64decode(letters), np.uint8)
    return flat.reshape(MODEL_SIDE, MODEL_SIDE, 3)


def answer_of_service(client: httpx.Client, data: bytes, *, forced: bool = True) -> Reply:
    """Ask the service."""
    response = client.post(
        "/v1/predictions",
        params={"explain": "all", "force": str(forced).lower()},
        content=data,
        headers={"Content-Type": "application/octet-stream"},
    )
    document = response.json()
    if response.is_success:
        return Reply(document, None)
    return Reply(None, document["type"].removeprefix("urn:lentigo:problem:"))


def compare(case: GoldenCase, service: Reply, page: Reply) -> Parity:
    """Hold the two replies against each other."""
    parity = Parity(case.name, case.sort, same=True)
    if page.refused == ONLY_THE_SERVICE:
        parity.only_service = True
        return parity
    if service.answer is None or page.answer is None:
        parity.same = service.refused == page.refused
        parity.notes = [] if parity.same else [f"{service.refused} and {page.refused}"]
        return parity
    one, other = service.answer, page.answer
    for name, of in _EXACT.items():
        if of(one) != of(other):
            parity.same = False
            parity.notes.append(f"{name}: {of(one)} and {of(other)}")
    parity.difference = max(
        abs(ours - theirs) for ours, theirs in zip(_numbers(one), _numbers(other), strict=True)
    )
    parity.map_difference = _map_difference(one, other)
    return parity


_EXACT: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "diagnosis": lambda answer: answer["diagnosis"]["code"],
    "confident": lambda answer: answer["diagnosis"]["confident"],
    "refer": lambda answer: answer["malignancy"]["refer"],
    "reasons": lambda answer: answer["malignancy"]["reasons"],
    "quality": lambda answer: answer["quality"]["reasons"],
    "image": lambda answer: answer["image"],
    "threshold": lambda answer: answer["malignancy"]["threshold"],
    "version": lambda answer: answer["model"]["digest"],
}


def _numbers(answer: dict[str, Any]) -> list[float]:
    by_code = sorted((each["code"], each["probability"]) for each in answer["probabilities"])
    return [*(value for _, value in by_code), answer["malignancy"]["probability"]]


def _map_difference(one: dict[str, Any], other: dict[str, Any]) -> int:
    def grey(answer: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        return {
            each["code"]: np.asarray(Image.open(io.BytesIO(base64.b64decode(each["data"]))), int)
            for each in answer["activation_maps"]
        }

    ours, theirs = grey(one), grey(other)
    return max(int(np.abs(ours[code] - theirs[code]).max()) for code in ours)


def compare_all(
    cases: Iterable[GoldenCase], client: httpx.Client, page: "Page"
) -> Iterator[Parity]:
    """Ask both sides about every case."""
    for case in cases:
        yield compare(case, answer_of_service(client, case.data), answer_here(page, case.data))
