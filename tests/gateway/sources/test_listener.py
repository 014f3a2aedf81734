"""C-STORE over a real connection on the loopback."""

import gc
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit
from pynetdicom import AE
from pynetdicom.association import Association

from lentigo_gateway.config import ImagesConfig, ListenerConfig, TlsConfig
from lentigo_gateway.dimse_tls import client_context
from lentigo_gateway.errors import ConfigError, ListenError
from lentigo_gateway.rules import DEFAULT_RULES, Rule
from lentigo_gateway.sources.listener import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, StoreListener
from tests.gateway.bench import Bench
from tests.gateway.dicom import dermoscopic, file_of, uncompressed
from tests.ports import free_port

# pynetdicom leaves the socket of a failed connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <(ssl|socket):ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect it here, and not in another test."""
    yield
    gc.collect()


VERIFICATION = "1.2.840.10008.1.1"
CALLER = "MODALITY"


@contextmanager
def listening(
    bench: Bench, *, rules: tuple[Rule, ...] = DEFAULT_RULES, max_bytes: int = 10**7, **changes: Any
) -> Iterator[tuple[StoreListener, int]]:
    config = ListenerConfig(port=0, callers=(CALLER,), **changes)
    images = ImagesConfig(max_bytes=max_bytes)
    listener = StoreListener(config, images, rules, bench.worklist, bench.received, bench.log)
    port = listener.start()
    try:
        yield listener, port
    finally:
        listener.stop()


def associated(
    port: int, *images: Dataset, caller: str = CALLER, called: str = "LENTIGO", **options: Any
) -> Association:
    entity = AE(ae_title=caller)
    entity.add_requested_context(VERIFICATION)
    for image in images:
        entity.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
    return entity.associate("127.0.0.1", port, ae_title=called, **options)


def send(port: int, *images: Dataset) -> list[int | None]:
    association = associated(port, *images)
    assert association.is_established
    try:
        return [association.send_c_store(image).get("Status") for image in images]
    finally:
        association.release()


def test_an_image_that_arrives_is_answered_and_then_removed(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image)
    with listening(bench) as (_, port):
        assert send(port, image) == [0x0000]
    (kept,) = bench.received._folder.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    bench.finish_due()
    assert bench.states() == {"done": 1}
    assert list(bench.received._folder.iterdir()) == []
    assert len(bench.archive.stored) == 2


def test_a_received_image_that_is_refused_is_removed(bench: Bench) -> None:
    with listening(bench) as (_, port):
        send(port, dermoscopic(1, PixelData=None))
    bench.finish_due()
    assert bench.states() == {"refused": 1}
    assert list(bench.received._folder.iterdir()) == []


def test_a_received_image_is_fetched_from_the_archive_if_it_is_answered_again(bench: Bench) -> None:
    image = dermoscopic(1)
    with listening(bench) as (_, port):
        send(port, image)
    bench.finish_due()
    bench.worklist.retry(1)
    bench.finish_due()
    assert bench.states() == {"gone": 1}
    bench.archive.put(image)
    bench.worklist.retry(1)
    bench.finish_due()
    assert bench.states() == {"done": 1}


def test_the_jpeg_arrives_as_it_was_sent(bench: Bench) -> None:
    image = dermoscopic(1)
    assert image.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    with listening(bench) as (_, port):
        send(port, image)
    bench.finish_due()
    assert bench.service.images[0] in image.PixelData


def test_an_echo_is_answered(bench: Bench) -> None:
    with listening(bench) as (_, port):
        association = associated(port)
        assert association.send_c_echo().Status == 0x0000
        association.release()


@pytest.mark.parametrize(("caller", "called"), [("STRANGER", "LENTIGO"), (CALLER, "OTHER")])
def test_only_listed_titles_get_an_association(bench: Bench, caller: str, called: str) -> None:
    with listening(bench) as (_, port):
        assert not associated(port, caller=caller, called=called).is_established


def test_a_class_that_cannot_be_answered_gets_no_context(bench: Bench) -> None:
    image = dermoscopic(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    with listening(bench) as (_, port):
        association = associated(port, image)
        assert len(association.accepted_contexts) == 1
        association.release()


def test_what_no_rule_takes_is_acknowledged_and_not_kept(bench: Bench) -> None:
    with listening(bench, rules=(Rule(modality=("XC",)),)) as (_, port):
        assert send(port, dermoscopic(1)) == [0x0000]
    assert bench.states() == {}
    assert list(bench.received._folder.iterdir()) == []


def test_a_result_of_ours_is_not_taken(bench: Bench) -> None:
    with listening(bench, rules=(Rule(),)) as (_, port):
        assert send(port, uncompressed_capture()) == [0x0000]
    assert bench.states() == {}


def uncompressed_capture() -> Dataset:
    import numpy as np

    pixels = np.zeros((64, 64, 3), np.uint8)
    return uncompressed(pixels, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Manufacturer="Lentigo")


def test_an_image_that_is_sent_twice_is_kept_once(bench: Bench) -> None:
    with listening(bench) as (_, port):
        assert send(port, dermoscopic(1)) == [0x0000]
        assert send(port, dermoscopic(1)) == [0x0000]
    assert bench.states() == {"waiting": 1}
    assert len(list(bench.received._folder.iterdir())) == 1
    assert bench.received.sweep(lambda: bench.worklist.locators("received:")) == 0


def test_what_is_not_dicom_is_refused(bench: Bench) -> None:
    with listening(bench) as (listener, _):
        assert listener.store(b"not DICOM") == CANNOT_UNDERSTAND
        assert listener.store(file_of(dermoscopic(1))[:300]) == CANNOT_UNDERSTAND


def test_a_full_disk_is_told_to_the_sender(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_data: bytes) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench.received, "keep", full)
    with listening(bench) as (_, port):
        assert send(port, dermoscopic(1)) == [OUT_OF_RESOURCES]
    (line,) = bench.events("received image cannot be kept")
    assert "full" in line["reason"]
    assert bench.states() == {}


def test_an_image_that_the_work_list_cannot_take_is_not_kept(bench: Bench) -> None:
    bench.worklist._database._connection.execute("PRAGMA query_only = 1")
    with listening(bench) as (_, port):
        assert send(port, dermoscopic(1)) == [OUT_OF_RESOURCES]
    assert list(bench.received._folder.iterdir()) == []


def test_images_that_nobody_needs_are_removed_once_they_are_old(bench: Bench) -> None:
    with listening(bench) as (listener, _):
        assert listener.store(file_of(dermoscopic(1))) == 0
    bench.received.keep(b"left by a crash")
    (needed,) = bench.worklist.locators("received:")
    assert bench.received.sweep(lambda: {needed}, before=0.0) == 0
    assert bench.received.sweep(lambda: {needed}) == 1
    assert bench.received.read(needed, 10**7)


def test_a_sender_of_too_much_is_cut_off(bench: Bench) -> None:
    import numpy as np

    pixels = np.zeros((2_000, 2_000, 3), np.uint8)
    with listening(bench, max_bytes=100_000) as (_, port):
        association = associated(port, image := uncompressed(pixels))
        status = association.send_c_store(image)
        assert status.get("Status") in (None, OUT_OF_RESOURCES)
    assert bench.events("received more than is accepted")
    assert bench.states() == {}


def test_associations_are_limited(bench: Bench) -> None:
    with listening(bench, associations=1) as (_, port):
        first = associated(port)
        assert first.is_established
        assert not associated(port).is_established
        first.release()


def test_an_address_that_is_taken_is_an_error(bench: Bench) -> None:
    with listening(bench) as (_, port):
        config = ListenerConfig(port=port, callers=(CALLER,))
        other = StoreListener(
            config, ImagesConfig(), DEFAULT_RULES, bench.worklist, bench.received, bench.log
        )
        with pytest.raises(ListenError, match=str(port)):
            other.start()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, which each side trusts."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


def tls(folder: Path) -> TlsConfig:
    certificate = folder / "certificate.pem"
    return TlsConfig(certificate=certificate, key=folder / "key.pem", ca_file=certificate)


def test_with_tls_both_sides_show_a_certificate(bench: Bench, certificates: Path) -> None:
    with listening(bench, tls=tls(certificates)) as (_, port):
        context = client_context(tls(certificates))
        association = associated(port, tls_args=(context, "127.0.0.1"))
        assert association.is_established
        association.release()

        without = ssl.create_default_context(cafile=certificates / "certificate.pem")
        assert not associated(port, tls_args=(without, "127.0.0.1")).is_established
        assert not associated(port).is_established


def test_tls_files_that_cannot_be_used_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        client_context(tls(tmp_path))


def test_a_free_port_is_taken_where_none_is_named(bench: Bench) -> None:
    port = free_port()
    config = ListenerConfig(port=port, callers=(CALLER,))
    listener = StoreListener(
        config, ImagesConfig(), DEFAULT_RULES, bench.worklist, bench.received, bench.log
    )
    assert listener.start() == port
    listener.stop()
