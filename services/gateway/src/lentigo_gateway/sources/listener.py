"""A C-STORE listener as a source (DICOM PS3.4, annex B).

An image is on the disk and on the work list before its sender hears of success. What no rule takes
is acknowledged and not kept: a sender that forwards a whole study must not stop at what is of no
concern here. docs/hospital.md, the conformance statement, says so.
"""

import socket
import threading
from collections.abc import Sequence
from typing import Final
from weakref import WeakKeyDictionary

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from lentigo_contract.system.files import is_of_the_disk
from lentigo_gateway.config import ImagesConfig, ListenerConfig
from lentigo_gateway.dimse_tls import server_context
from lentigo_gateway.errors import BoundsError, ListenError, NotDicomError, WorkListError
from lentigo_gateway.observability.logging import Log
from lentigo_gateway.pixels.frames import TRANSFER_SYNTAXES
from lentigo_gateway.pixels.reading import found_in, header_of, read_dataset
from lentigo_gateway.rules import ACCEPTED_CLASSES, Rule, takes
from lentigo_gateway.sources.received import ReceivedImages
from lentigo_gateway.worklist.store import WorkList

# Statuses of C-STORE (PS3.4, B.2.3).
SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
CANNOT_UNDERSTAND: Final = 0xC000

_NAME: Final = "listener"
# The largest that is announced; the peer may send smaller ones.
_PDU_BYTES: Final = 65_536


class StoreListener:
    """Receives images from listed applications."""

    def __init__(
        self,
        config: ListenerConfig,
        images: ImagesConfig,
        rules: Sequence[Rule],
        worklist: WorkList,
        received: ReceivedImages,
        log: Log,
    ) -> None:
        """Prepare to listen; `start` listens."""
        self._config = config
        self._max_bytes = images.max_bytes
        self._rules = rules
        self._worklist = worklist
        self._received = received
        self._log = log
        self._server: ThreadedAssociationServer | None = None
        self._guard = threading.Lock()
        # Bytes of the message that an association is sending.
        self._arrived: WeakKeyDictionary[Association, int] = WeakKeyDictionary()

    def start(self) -> int:
        """Listen; return the port.

        Raises:
            ListenError: the address cannot be listened on.
            ConfigError: a file of the TLS configuration cannot be used.
        """
        config = self._config
        entity = AE(ae_title=config.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(config.callers)
        entity.maximum_associations = config.associations
        entity.maximum_pdu_size = _PDU_BYTES
        entity.network_timeout = config.timeout_s
        entity.acse_timeout = config.timeout_s
        entity.dimse_timeout = config.timeout_s
        entity.add_supported_context(Verification)
        for sop_class in sorted(ACCEPTED_CLASSES):
            entity.add_supported_context(sop_class, [UID(each) for each in TRANSFER_SYNTAXES])
        try:
            _require_free(config.host, config.port)
            server = entity.start_server(
                (config.host, config.port),
                block=False,
                ssl_context=None if config.tls is None else server_context(config.tls),
                evt_handlers=[
                    (evt.EVT_C_STORE, self._on_store),
                    (evt.EVT_DATA_RECV, self._on_data),
                    (evt.EVT_DIMSE_RECV, self._on_message),
                ],
            )
        except OSError as error:
            raise ListenError(
                f"{config.host} port {config.port} cannot be listened on: {error.strerror}. Name "
                "another in [sources.listener]."
            ) from error
        self._server = server
        # Only a blocking one gives none.
        assert server is not None  # noqa: S101
        assert server.socket is not None  # noqa: S101
        port = int(server.socket.getsockname()[1])
        self._log.info(
            "listening for C-STORE", host=config.host, port=port, tls=config.tls is not None
        )
        return port

    def stop(self) -> None:
        """Stop listening, and end what is open."""
        if self._server is not None:
            self._server.ae.shutdown()
            self._server = None

    def store(self, data: bytes) -> int:
        """Take a DICOM file; return the status of C-STORE."""
        try:
            dataset = read_dataset(data, self._max_bytes)
            found = found_in(dataset)
        except NotDicomError as error:
            self._log.warning("received what is not DICOM", reason=str(error))
            return CANNOT_UNDERSTAND
        except BoundsError as error:
            self._log.warning("received more than is accepted", reason=str(error))
            return OUT_OF_RESOURCES
        if not takes(self._rules, header_of(dataset)) or self._worklist.is_result(
            found.sop_instance_uid
        ):
            self._log.info("received what no rule takes")
            return SUCCESS
        try:
            self._keep(data, dataset)
        except (OSError, WorkListError) as error:
            full = isinstance(error, OSError) and is_of_the_disk(error)
            reason = "the disk is full or not writable" if full else str(error)
            self._log.error("received image cannot be kept", reason=reason)
            return OUT_OF_RESOURCES
        return SUCCESS

    def _keep(self, data: bytes, dataset: Dataset) -> None:
        """Keep an image until it is answered, unless the work list has no need of it.

        Raises:
            OSError, WorkListError: the disk is full or not writable.
        """
        locator = self._received.keep(data)
        needed = False
        try:
            needed = bool(self._worklist.add([found_in(dataset, locator)]))
        finally:
            if not needed:
                # It is there already, or its sender will send it again.
                self._received.remove(locator)

    def _on_store(self, event: evt.Event) -> int:
        return self.store(event.encoded_dataset())

    def _on_data(self, event: evt.Event) -> None:
        """Count what arrives, and abort an association whose message is too long."""
        with self._guard:
            arrived = self._arrived.get(event.assoc, 0) + len(event.data)
            self._arrived[event.assoc] = arrived
        # A little more than the data set: headers of PDUs, and the command.
        if arrived > self._max_bytes * 1.01 + 2 * _PDU_BYTES:
            self._log.warning("received more than is accepted", reason="the association is aborted")
            event.assoc.abort(block=False)

    def _on_message(self, event: evt.Event) -> None:
        with self._guard:
            self._arrived.pop(event.assoc, None)


def _require_free(host: str, port: int) -> None:
    """Raise an OSError if a port is taken; pynetdicom would leave its socket open."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
