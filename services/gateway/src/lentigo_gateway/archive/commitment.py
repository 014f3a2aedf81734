"""Storage commitment: a receiver's word that it keeps what was sent (DICOM PS3.4, annex J).

The receiver reports over the association on which it was asked, or opens one of its own to us. A
transaction lives as long as its attempt: after a crash the results are sent again, and so is the
request.
"""

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from pynetdicom.transport import ThreadedAssociationServer

from lentigo_gateway.config import CommitmentConfig
from lentigo_gateway.errors import ListenError, ServerUnavailableError, TryAgainError

_SUCCESS: Final = 0x0000
_NO_SUCH_TRANSACTION: Final = 0x0115
_REQUEST: Final = 1
_ALL_COMMITTED: Final = 1


@dataclass(slots=True)
class _Transaction:
    """What was asked, and what the receiver reports of it."""

    reported: threading.Event = field(default_factory=threading.Event)
    failed: int = 0
    committed: frozenset[str] = frozenset()


class StorageCommitment:
    """Asks a receiver to commit to results; for several threads."""

    def __init__(self, config: CommitmentConfig, ours: str, theirs: str) -> None:
        """Listen by this configuration, once the first report is waited for.

        Args:
            config: where to listen, and how long to wait.
            ours: our AE title.
            theirs: the receiver's, which alone may report.
        """
        self._config = config
        self._ours = ours
        self._theirs = theirs
        self._guard = threading.Lock()
        self._open: dict[str, _Transaction] = {}
        self._server: ThreadedAssociationServer | None = None

    @property
    def handlers(self) -> list[tuple[evt.EventType, object]]:
        """Handlers for an association on which the receiver may report."""
        return [(evt.EVT_N_EVENT_REPORT, self._on_report)]

    def listen(self) -> int:
        """Listen for reports, unless that is done already; return the port.

        Raises:
            ListenError: the address cannot be listened on.
        """
        with self._guard:
            if self._server is None:
                self._server = self._started()
            socket = self._server.socket
            assert socket is not None  # noqa: S101 - only a server that is closed has none
            return int(socket.getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        with self._guard:
            if self._server is not None:
                self._server.ae.shutdown()
                self._server = None

    def commit(self, association: Association, results: Sequence[Dataset]) -> None:
        """Ask for commitment to results that were sent, and wait for the report.

        Args:
            association: with `handlers`, for which `StorageCommitmentPushModel` was requested.
            results: what was sent.

        Raises:
            ServerUnavailableError: the receiver offers no storage commitment, or the address for
                its report cannot be listened on.
            TryAgainError: it does not report in time, or commits to less than all.
        """
        contexts = association.accepted_contexts
        if all(each.abstract_syntax != StorageCommitmentPushModel for each in contexts):
            raise ServerUnavailableError(
                f"{self._theirs} offers no storage commitment. Leave [results.dimse.commitment] "
                "out, or let it offer that.",
                "results",
            )
        try:
            self.listen()
        except ListenError as error:
            # Nothing of ours can be delivered until the port is free.
            raise ServerUnavailableError(str(error), "results") from error
        name = f"2.25.{uuid.uuid4().int}"
        transaction = _Transaction()
        with self._guard:
            self._open[name] = transaction
        try:
            self._ask(association, name, results)
            if not transaction.reported.wait(self._config.timeout_s):
                raise TryAgainError(
                    f"{self._theirs} did not commit to the results within "
                    f"{self._config.timeout_s:g} s.",
                    "results",
                )
        finally:
            with self._guard:
                del self._open[name]
        missing = {str(each.SOPInstanceUID) for each in results} - transaction.committed
        if transaction.failed or missing:
            raise TryAgainError(
                f"{self._theirs} does not commit to {max(transaction.failed, len(missing))} of "
                f"{len(results)} results.",
                "results",
            )

    def _ask(self, association: Association, name: str, results: Sequence[Dataset]) -> None:
        request = Dataset()
        request.TransactionUID = name
        request.ReferencedSOPSequence = [_reference(each) for each in results]
        status, _reply = association.send_n_action(
            request, _REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if status.get("Status") != _SUCCESS:
            raise TryAgainError(
                f"{self._theirs} does not take the request for storage commitment.", "results"
            )

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        report = event.event_information
        with self._guard:
            transaction = self._open.get(str(report.get("TransactionUID", "")))
        if transaction is None:
            return _NO_SUCH_TRANSACTION, None
        transaction.committed = frozenset(
            str(each.get("ReferencedSOPInstanceUID", ""))
            for each in report.get("ReferencedSOPSequence") or ()
        )
        failed = len(report.get("FailedSOPSequence") or ())
        transaction.failed = failed or int(event.event_type != _ALL_COMMITTED)
        transaction.reported.set()
        return _SUCCESS, None

    def _started(self) -> ThreadedAssociationServer:
        entity = AE(ae_title=self._ours)
        entity.require_called_aet = True
        entity.require_calling_aet = [self._theirs]
        # Whoever reports opens the association, and is the provider all the same.
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        host, port = self._config.host, self._config.port
        try:
            server = entity.start_server((host, port), block=False, evt_handlers=self.handlers)  # type: ignore[arg-type]
        except OSError as error:
            raise ListenError(
                f"{host} port {port} cannot be listened on: {error.strerror}. Name another in "
                "[results.dimse.commitment]."
            ) from error
        assert server is not None  # noqa: S101 - only a blocking one gives none
        return server


def _reference(result: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = result.SOPClassUID
    item.ReferencedSOPInstanceUID = result.SOPInstanceUID
    return item
