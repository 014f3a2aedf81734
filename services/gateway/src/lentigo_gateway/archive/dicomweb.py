"""DICOMweb (DICOM PS3.18): WADO-RS, QIDO-RS and STOW-RS, as much as the gateway needs."""

import secrets
from collections.abc import Mapping, Sequence
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

# (0008,1198) Failed SOP Sequence, (0008,1197) Failure Reason, and what it says (PS3.18, I.2.2, and
# PS3.7, C.5): the archive has the instance already, has no space, or failed and may not again.
_FAILED: Final = "00081198"
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
            TryAgainError: it failed at one; see also `HttpServer.ask`.
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
        # 202 and 409: some, or none, were stored; the response says which and why.
        reasons = self._failures(reply) if reply.ok or reply.status == 409 else [None]
        self._check_reasons(reply.status, [each for each in reasons if each != _DUPLICATE])

    def healthy(self) -> bool:
        """Return whether the server answers a query at all.

        Raises:
            ServerUnavailableError, TryAgainError: it does not.
        """
        self._http.get_json("studies", {"limit": 1}, accept=_JSON)
        return True

    def _check_reasons(self, status: int, reasons: Sequence[int | None]) -> None:
        """Raise the error for the failure reasons in the response to STOW-RS, if there are any."""
        server = self._http.server
        if any(reason in _OUT_OF_RESOURCES for reason in reasons if reason is not None):
            raise ServerUnavailableError("The archive has no space for results.", server)
        refused = [reason for reason in reasons if reason != _PROCESSING_FAILURE]
        if refused:
            raise DeliveryRefusedError(
                f"The archive refuses a result: status {status}, failure reason "
                f"{'unknown' if refused[0] is None else f'{refused[0]:#06x}'}."
            )
        if reasons:
            raise TryAgainError("The archive failed to store a result (0x0110).", server)

    def _failures(self, reply: Reply) -> list[int | None]:
        """Return the failure reasons in the response to STOW-RS."""
        if not reply.body:
            return []
        found = self._http.json_of(reply)
        try:
            failed = found.get(_FAILED, {}).get("Value", [])
            return [each.get(_REASON, {}).get("Value", [None])[0] for each in failed]
        except (AttributeError, IndexError, TypeError):
            return [None]

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
