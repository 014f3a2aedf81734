"""DICOMweb (DICOM PS3.18): WADO-RS, QIDO-RS and STOW-RS, as much as the gateway needs."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from email.message import Message
from typing import Any, Final

from pydicom import Dataset

from lentigo_gateway.archive.files import file_bytes
from lentigo_gateway.errors import (
    DeliveryRefusedError,
    InstanceGoneError,
    ServerUnavailableError,
    TryAgainError,
)
from lentigo_gateway.http_server import HttpServer, Reply
from lentigo_gateway.worklist.entries import Found

_DICOM: Final = "application/dicom"
_JSON: Final = "application/dicom+json"
# As it is stored: a server would otherwise decompress it (PS3.18, 8.7.3.5.2).
_WADO_ACCEPT: Final = f'multipart/related; type="{_DICOM}"; transfer-syntax=*'
_GONE: Final = (404, 410)

_OK: Final = 200
_CONFLICT: Final = 409

# (0008,1199) Referenced SOP Sequence, (0008,1198) Failed SOP Sequence, (0008,1155) Referenced SOP
# Instance UID, (0008,1197) Failure Reason, and what it says (PS3.18, I.2.2, and PS3.7, C.5): the
# archive has the instance already, has no space, or failed and may not again.
_STORED: Final = "00081199"
_FAILED: Final = "00081198"
_INSTANCE: Final = "00081155"
_REASON: Final = "00081197"
_DUPLICATE: Final = 0x0111
_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)
_PROCESSING_FAILURE: Final = 0x0110


class DicomWeb:
    """A DICOMweb server."""

    def __init__(self, http: HttpServer) -> None:
        """Ask it over this connection."""
        self._http = http

    def retrieve(self, instance: Found, max_bytes: int) -> bytes:
        """Return an instance as a DICOM file, in the transfer syntax in which it is stored.

        Raises:
            InstanceGoneError: the archive does not have it.
            BoundsError: it is larger.
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        path = (
            f"studies/{instance.study_instance_uid}/series/{instance.series_instance_uid}"
            f"/instances/{instance.sop_instance_uid}"
        )
        reply = self._http.ask("GET", path, max_bytes=max_bytes, headers={"Accept": _WADO_ACCEPT})
        if reply.status in _GONE:
            raise InstanceGoneError("The archive no longer has the instance.")
        if not reply.ok:
            raise self._http.unexpected(reply)
        return self._first_part(reply)

    def search(
        self, query: Mapping[str, str | int], fields: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Return the instances that match a query, each as DICOM JSON.

        Args:
            query: what must match, and which page.
            fields: tags of attributes beside those that every response has.

        Raises:
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        # One by one: Orthanc 1.10 overlooks a list whose commas are encoded, as ours would be.
        found = self._http.get_json(
            "instances", {**query, "includefield": list(fields)}, accept=_JSON
        )
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise TryAgainError("The archive answered a query with what is no list.", "archive")
        return found

    def store(self, datasets: Sequence[Dataset]) -> None:
        """Store results. One that the archive has already is as good as stored.

        Raises:
            DeliveryRefusedError: the archive refuses one.
            ServerUnavailableError: it has no space; see also `HttpServer.ask`.
            TryAgainError: it failed at one, or does not say that it has it; see also
                `HttpServer.ask`.
        """
        boundary = secrets.token_hex(16)
        parts = [
            f"--{boundary}\r\nContent-Type: {_DICOM}\r\n\r\n".encode() + file_bytes(each) + b"\r\n"
            for each in datasets
        ]
        reply = self._http.ask(
            "POST",
            "studies",
            content=b"".join([*parts, f"--{boundary}--\r\n".encode()]),
            headers={
                "Content-Type": f'multipart/related; type="{_DICOM}"; boundary={boundary}',
                "Accept": _JSON,
            },
        )
        self._check_stored(reply, {str(each.SOPInstanceUID) for each in datasets})

    def healthy(self) -> bool:
        """Return whether the server answers a query at all.

        Raises:
            ServerUnavailableError, TryAgainError: it does not.
        """
        self._http.get_json("studies", {"limit": 1}, accept=_JSON)
        return True

    def _check_stored(self, reply: Reply, sent: Collection[str]) -> None:
        """Check that every result is stored; 202 and 409 say that some, or none, were, and why."""
        server = self._http.server
        if not (reply.ok or reply.status == _CONFLICT):
            raise _refused(reply, None)
        if not reply.body and reply.status == _OK:
            return
        stored, reasons = self._outcome(reply)
        if any(reason in _OUT_OF_RESOURCES for reason in reasons if reason is not None):
            raise ServerUnavailableError("The archive has no space for results.", server)
        for reason in reasons:
            if reason not in (_DUPLICATE, _PROCESSING_FAILURE):
                raise _refused(reply, reason)
        if _PROCESSING_FAILURE in reasons:
            raise TryAgainError("The archive failed to store a result (0x0110).", server)
        # Orthanc 1.10 answers 200 with two empty lists when its disk is full.
        if len(stored & set(sent)) + len(reasons) < len(sent):
            raise TryAgainError(
                "The archive does not say that it has stored the results. Its disk may be full.",
                server,
            )

    def _outcome(self, reply: Reply) -> tuple[set[str], list[int | None]]:
        """Return the instances that are stored, and the failure reasons of others (PS3.18, I)."""
        found = self._http.json_of(reply) if reply.body else {}
        try:
            stored = found.get(_STORED, {}).get("Value", [])
            failed = found.get(_FAILED, {}).get("Value", [])
            return (
                {str(each[_INSTANCE]["Value"][0]) for each in stored},
                [each.get(_REASON, {}).get("Value", [None])[0] for each in failed],
            )
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise TryAgainError(
                "The archive answered STOW-RS with what is no response to it.", self._http.server
            ) from error

    def _first_part(self, reply: Reply) -> bytes:
        """Return the content of the first part of a multipart body (RFC 2046, 5.1)."""
        if reply.media_type.partition(";")[0].strip().lower() == _DICOM:
            return reply.body
        header = Message()
        header["Content-Type"] = reply.media_type
        boundary = header.get_param("boundary")
        if isinstance(boundary, str):
            delimiter = b"--" + boundary.encode("latin-1", "replace")
            start = reply.body.find(delimiter)
            content = reply.body.find(b"\r\n\r\n", start)
            end = reply.body.find(b"\r\n" + delimiter, content + 2)
            if 0 <= start < content < end:
                return reply.body[content + 4 : end]
        raise TryAgainError("The archive answered what is not multipart/related.", "archive")


def _refused(reply: Reply, reason: int | None) -> DeliveryRefusedError:
    told = "unknown" if reason is None else f"{reason:#06x}"
    return DeliveryRefusedError(
        f"The archive refuses a result: status {reply.status}, failure reason {told}."
    )
