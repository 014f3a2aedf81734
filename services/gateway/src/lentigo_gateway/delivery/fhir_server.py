"""A FHIR R4 server, which gets each answer as a transaction."""

import json
from collections.abc import Sequence
from typing import Final

from pydicom import Dataset

from lentigo_contract.fhir.codes import CodeMap
from lentigo_contract.fhir.elements import MEDIA_TYPE, Resource
from lentigo_gateway.answers import Answer
from lentigo_gateway.errors import DeliveryRefusedError, TryAgainError
from lentigo_gateway.fhir_bundles import answer_bundles
from lentigo_gateway.http_server import HttpServer, Reply

# Two transactions that make the same resource at the same time; the second attempt finds it.
_CONFLICT: Final = 409


class FhirServer:
    """Delivers answers. Resources are created by identifier, so again is the same as once."""

    def __init__(self, http: HttpServer, codes: CodeMap, patient_system: str | None) -> None:
        """Deliver over this connection.

        Args:
            http: the connection.
            codes: of other systems, beside our own.
            patient_system: namespace of the patient numbers of the archive; None names no patient.
        """
        self._http = http
        self._codes = codes
        self._patient_system = patient_system

    def deliver(self, image: Dataset, answers: Sequence[Answer]) -> None:
        """Deliver the answers to an instance.

        Raises:
            DeliveryRefusedError: the server refuses a transaction.
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        for bundle in answer_bundles(
            image, answers, patient_system=self._patient_system, codes=self._codes
        ):
            self._send(bundle)

    def healthy(self) -> bool:
        """Return whether the server gives its CapabilityStatement.

        Raises:
            ServerUnavailableError, TryAgainError: it does not answer.
        """
        return self._http.ask("GET", "metadata", headers={"Accept": MEDIA_TYPE}).ok

    def _send(self, bundle: Resource) -> None:
        reply = self._http.ask(
            "POST",
            "",
            content=json.dumps(bundle).encode(),
            headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
        )
        if reply.status == _CONFLICT:
            raise self._http.unexpected(reply)
        if not reply.ok:
            raise DeliveryRefusedError(
                f"The FHIR server refuses the transaction: {reply.status}{self._issues(reply)}."
            )
        self._check_entries(reply)

    def _check_entries(self, reply: Reply) -> None:
        """Check that every entry of the response says that it succeeded."""
        if not reply.body:
            return
        found = self._http.json_of(reply)
        entries = found.get("entry", []) if isinstance(found, dict) else []
        for entry in entries if isinstance(entries, list) else []:
            try:
                status = str(entry["response"]["status"])
            except (KeyError, TypeError):
                continue
            if not status.startswith("2"):
                raise DeliveryRefusedError(
                    f"The FHIR server refuses a resource: {_printable(status)[:3]}."
                )

    def _issues(self, reply: Reply) -> str:
        """Return the codes of an OperationOutcome. Its texts may quote the resources."""
        try:
            codes = {str(issue["code"]) for issue in self._http.json_of(reply)["issue"]}
        except (TryAgainError, KeyError, TypeError):
            return ""
        return ", " + ", ".join(sorted(_printable(code)[:32] for code in codes)[:5])


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:64]
