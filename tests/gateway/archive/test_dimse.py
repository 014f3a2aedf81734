"""Results by C-STORE over a real connection on the loopback."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from lentigo_gateway.archive.dimse import COMPREHENSIVE_3D_SR, SECONDARY_CAPTURE, DimseStore
from lentigo_gateway.config import DimseConfig
from lentigo_gateway.errors import DeliveryRefusedError, ServerUnavailableError, TryAgainError
from tests.gateway.dicom import uncompressed
from tests.ports import free_port

# pynetdicom leaves the socket of a failed connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <(ssl|socket):ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect it here, and not in another test."""
    yield
    gc.collect()


def result() -> Dataset:
    return uncompressed(np.zeros((64, 64, 3), np.uint8), SOPClassUID=SECONDARY_CAPTURE)


@contextmanager
def archive(answer: Callable[[evt.Event], int], *classes: str) -> Iterator[DimseConfig]:
    entity = AE(ae_title="ARCHIVE")
    for sop_class in classes or (COMPREHENSIVE_3D_SR, SECONDARY_CAPTURE):
        entity.add_supported_context(sop_class)
    port = free_port()
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)]
    )
    assert server is not None
    try:
        yield DimseConfig(host="127.0.0.1", port=port, ae_title="ARCHIVE", timeout_s=60)
    finally:
        entity.shutdown()


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000])
def test_what_is_stored_or_was_already_is_delivered(status: int) -> None:
    arrived: list[str] = []

    def take(event: evt.Event) -> int:
        arrived.append(str(event.dataset.SOPInstanceUID))
        return status

    with archive(take) as config:
        DimseStore(config).store([result(), result()])
    assert len(arrived) == 2


@pytest.mark.parametrize("status", [0xA900, 0xC000])
def test_what_is_refused_is_refused_for_good(status: int) -> None:
    with archive(lambda _: status) as config, pytest.raises(DeliveryRefusedError):
        DimseStore(config).store([result()])


def test_a_receiver_without_space_is_waited_for() -> None:
    with archive(lambda _: 0xA700) as config, pytest.raises(ServerUnavailableError) as caught:
        DimseStore(config).store([result()])
    assert caught.value.server == "results"


def test_a_receiver_that_fails_is_tried_again() -> None:
    with archive(lambda _: 0x0110) as config, pytest.raises(TryAgainError, match="0x0110"):
        DimseStore(config).store([result()])


def test_an_archive_that_takes_no_such_objects_refuses_them() -> None:
    with (
        archive(lambda _: 0, COMPREHENSIVE_3D_SR) as config,
        pytest.raises(DeliveryRefusedError, match="SOP class"),
    ):
        DimseStore(config).store([result()])


def test_an_archive_that_is_away_is_waited_for() -> None:
    config = DimseConfig(host="127.0.0.1", port=free_port(), ae_title="ARCHIVE", timeout_s=5)
    with pytest.raises(ServerUnavailableError, match="ARCHIVE"):
        DimseStore(config).store([result()])
