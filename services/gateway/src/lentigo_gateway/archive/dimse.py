"""Results sent by C-STORE (DICOM PS3.4, annex B)."""

import copy
from collections.abc import Sequence
from typing import Final

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from lentigo_gateway.archive.commitment import StorageCommitment
from lentigo_gateway.config import DimseConfig
from lentigo_gateway.dimse_tls import client_context
from lentigo_gateway.errors import DeliveryRefusedError, ServerUnavailableError, TryAgainError

COMPREHENSIVE_3D_SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"

# PS3.7, annex C.5: what is stored already; PS3.4, B.2.3: warnings are successes, and resources that
# are lacking now may not be later. What could not be processed may be the next time.
_STORED: Final = frozenset({0x0000, 0x0111, 0xB000, 0xB006, 0xB007})
_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)
_PROCESSING_FAILURE: Final = 0x0110


class DimseStore:
    """An application entity that takes results."""

    def __init__(self, config: DimseConfig) -> None:
        """Send to this one.

        Raises:
            ConfigError: a file of the TLS configuration cannot be used.
        """
        self._config = config
        self._tls = None if config.tls is None else client_context(config.tls)
        self._commitment = None
        if config.commitment is not None:
            self._commitment = StorageCommitment(config.commitment, config.calling, config.ae_title)

    def store(self, datasets: Sequence[Dataset]) -> None:
        """Send results over one association. One that is stored already is as good as stored.

        Raises:
            ServerUnavailableError: no association, no storage commitment where it is configured, or
                a status that says that resources are lacking.
            TryAgainError: no status, or that of a failure; no commitment.
            DeliveryRefusedError: the other side does not take a result, or no such objects at all.
        """
        config = self._config
        entity = AE(ae_title=config.calling)
        entity.connection_timeout = config.timeout_s
        entity.acse_timeout = config.timeout_s
        entity.dimse_timeout = config.timeout_s
        entity.network_timeout = config.timeout_s
        for sop_class in (COMPREHENSIVE_3D_SR, SECONDARY_CAPTURE):
            entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
        entity.add_requested_context(SECONDARY_CAPTURE, JPEGBaseline8Bit)
        if self._commitment is not None:
            entity.add_requested_context(StorageCommitmentPushModel)
        association = entity.associate(
            config.host,
            config.port,
            ae_title=config.ae_title,
            tls_args=None if self._tls is None else (self._tls, config.host),
            evt_handlers=None if self._commitment is None else self._commitment.handlers,  # type: ignore[arg-type]
        )
        if not association.is_established:
            raise ServerUnavailableError(
                f"{config.ae_title} accepts no association. Check its titles and addresses.",
                "results",
            )
        try:
            for dataset in datasets:
                try:
                    status = association.send_c_store(_accepted(association, dataset))
                except ValueError as error:
                    raise DeliveryRefusedError(
                        f"{config.ae_title} takes no objects of this SOP class or transfer syntax."
                    ) from error
                _check(config.ae_title, status)
            if self._commitment is not None:
                self._commitment.commit(association, datasets)
        finally:
            association.release()

    def close(self) -> None:
        """Stop listening for commitments."""
        if self._commitment is not None:
            self._commitment.close()

    def healthy(self) -> bool:
        """Return True: an association that is refused says enough by itself."""
        return True


def _accepted(association: Association, dataset: Dataset) -> Dataset:
    """Return a picture as it is, or uncompressed for a receiver that takes no JPEG."""
    syntaxes = {
        syntax
        for context in association.accepted_contexts
        if context.abstract_syntax == dataset.SOPClassUID
        for syntax in context.transfer_syntax
    }
    if dataset.file_meta.TransferSyntaxUID in syntaxes or not syntaxes:
        return dataset
    plain = copy.deepcopy(dataset)
    plain.decompress(generate_instance_uid=False)
    return plain


def _check(title: str, status: Dataset) -> None:
    code = status.get("Status")
    if code is None:
        raise TryAgainError(f"{title} broke off the association.", "results")
    if int(code) in _OUT_OF_RESOURCES:
        raise ServerUnavailableError(f"{title} lacks resources ({int(code):#06x}).", "results")
    if int(code) == _PROCESSING_FAILURE:
        raise TryAgainError(f"{title} failed to store a result ({int(code):#06x}).", "results")
    if int(code) not in _STORED:
        raise DeliveryRefusedError(f"{title} refuses a result ({int(code):#06x}).")
