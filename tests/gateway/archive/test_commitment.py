"""Storage commitment between real applications on the loopback, and with a real Orthanc."""

import gc
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from lentigo_gateway.archive.dimse import COMPREHENSIVE_3D_SR, SECONDARY_CAPTURE, DimseStore
from lentigo_gateway.config import CommitmentConfig, DimseConfig
from lentigo_gateway.dicom_results import secondary_capture
from lentigo_gateway.errors import GatewayError, ServerUnavailableError, TryAgainError
from tests.gateway.dicom import uncompressed
from tests.gateway.dicom_results.images import AT, UIDS, answer, jpeg_instance, map_png
from tests.gateway.orthanc.archive import missing, orthanc
from tests.ports import free_port

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <(ssl|socket):ResourceWarning")

Way = Literal["same association", "own association", "never", "failure", "less", "refused"]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


def result(number: int = 1) -> Dataset:
    pixels = np.zeros((64, 64, 3), np.uint8)
    return uncompressed(pixels, SOPClassUID=SECONDARY_CAPTURE, SOPInstanceUID=f"1.2.3.{number}")


class Receiver:
    """An archive that commits to what it has, in one way or another."""

    def __init__(self, way: Way, report_port: int) -> None:
        self.way = way
        self.report_port = report_port
        self.statuses: list[int] = []
        self.reporters: list[threading.Thread] = []

    def action(self, event: evt.Event) -> tuple[int, None]:
        if self.way == "refused":
            return 0x0110, None
        if self.way != "never":
            asked = event.action_information
            thread = threading.Thread(target=self._report, args=(event.assoc, asked))
            thread.start()
            self.reporters.append(thread)
        return 0x0000, None

    def _report(self, association: object, asked: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        items = list(asked.ReferencedSOPSequence)
        if self.way == "failure":
            report.FailedSOPSequence = [items.pop()]
            report.FailedSOPSequence[0].FailureReason = 0x0112
        if self.way == "less":
            items = items[:-1]
        if items:
            report.ReferencedSOPSequence = items
        kind = 2 if self.way == "failure" else 1
        if self.way == "same association":
            self._send(association, report, kind)
            return
        entity = AE(ae_title="ARCHIVE")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        own = entity.associate("127.0.0.1", self.report_port, ae_title="LENTIGO", ext_neg=[role])
        assert own.is_established
        self._send(own, report, kind)
        own.release()

    def _send(self, association: object, report: Dataset, kind: int) -> None:
        status, _reply = association.send_n_event_report(  # type: ignore[attr-defined]
            report, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        self.statuses.append(int(status.get("Status", -1)))


@contextmanager
def receiver(way: Way, *, offers: bool = True) -> Iterator[tuple[Receiver, DimseStore]]:
    made = Receiver(way, free_port())
    entity = AE(ae_title="ARCHIVE")
    for sop_class in (COMPREHENSIVE_3D_SR, SECONDARY_CAPTURE):
        entity.add_supported_context(sop_class)
    if offers:
        entity.add_supported_context(StorageCommitmentPushModel)
    port = free_port()
    handlers = [(evt.EVT_C_STORE, lambda _event: 0x0000), (evt.EVT_N_ACTION, made.action)]
    entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
    store = DimseStore(
        DimseConfig(
            host="127.0.0.1",
            port=port,
            ae_title="ARCHIVE",
            timeout_s=60,
            commitment=CommitmentConfig(
                port=made.report_port, timeout_s=0.3 if way == "never" else 30
            ),
        )
    )
    try:
        yield made, store
    finally:
        for thread in made.reporters:
            thread.join()
        store.close()
        entity.shutdown()


@pytest.mark.parametrize("way", ["same association", "own association"])
def test_results_are_delivered_once_they_are_committed(way: Way) -> None:
    with receiver(way) as (made, store):
        for _ in range(2):
            store.store([result(1), result(2)])
    assert made.statuses == [0x0000, 0x0000]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("never", "did not commit"),
        ("failure", "does not commit to 1 of 2"),
        ("less", "does not commit to 1 of 2"),
        ("refused", "does not take the request"),
    ],
)
def test_results_that_are_not_committed_are_sent_again(way: Way, why: str) -> None:
    with receiver(way) as (_made, store), pytest.raises(TryAgainError, match=why):
        store.store([result(1), result(2)])


def test_a_receiver_that_offers_none_holds_results_back() -> None:
    with (
        receiver("never", offers=False) as (_made, store),
        pytest.raises(ServerUnavailableError, match="offers no storage commitment"),
    ):
        store.store([result()])


def test_an_address_that_is_taken_holds_results_back() -> None:
    with receiver("own association") as (_made, first), receiver("never") as (second, _store):
        first.store([result()])
        config = first._config.model_copy(
            update={"commitment": CommitmentConfig(port=_made.report_port, timeout_s=1)}
        )
        taken = DimseStore(config)
        assert second is not _made
        with pytest.raises(ServerUnavailableError, match="cannot be listened on"):
            taken.store([result()])
        taken.close()


def test_a_report_on_another_transaction_is_not_ours() -> None:
    with receiver("own association") as (made, store):
        store.store([result()])
        stray = Dataset()
        stray.TransactionUID = "1.2.3"
        stray.ReferencedSOPSequence = []
        made._report(None, stray)
    assert made.statuses == [0x0000, 0x0115]


def test_several_workers_may_ask_at_the_same_time() -> None:
    failures: Sequence[GatewayError] = []

    with receiver("own association") as (made, store):

        def deliver(number: int) -> None:
            try:
                store.store([result(number)])
            except GatewayError as error:
                failures.append(error)  # type: ignore[attr-defined]

        threads = [threading.Thread(target=deliver, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert made.statuses == [0x0000] * 4


@pytest.mark.skipif(bool(missing()), reason=missing() or "installed")
def test_orthanc_commits_to_results(tmp_path: Path) -> None:
    made = secondary_capture(jpeg_instance(), answer(), map_png(), made_at=AT, uids=UIDS)
    port = free_port()
    with orthanc(tmp_path) as archive:
        us = {"AET": "LENTIGO", "Host": "127.0.0.1", "Port": port}
        archive.client.put("/modalities/lentigo", json=us).raise_for_status()
        config = DimseConfig(
            host="127.0.0.1",
            port=archive.dicom_port,
            ae_title="ORTHANC",
            commitment=CommitmentConfig(port=port),
        )
        store = DimseStore(config)
        try:
            store.store([made])
        finally:
            store.close()
        assert len(archive.instances(SECONDARY_CAPTURE)) == 1
