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

# Two transactions that make or change the same resource at the same time; the second attempt finds
# what the other one left.
_CONFLICT: Final = 409
_OTHER_VERSION: Final = 412
_SEARCH_BYTES: Final = 64 * 2**20


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
            self.send(bundle)

    def search(self, kind: str, query: str) -> list[Resource]:
        """Return the resources of a type that match a query, as many as the server gives at once.

        Raises:
            DeliveryRefusedError: the server does not take the query.
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        reply = self._http.ask(
            "GET", f"{kind}?{query}", max_bytes=_SEARCH_BYTES, headers={"Accept": MEDIA_TYPE}
        )
        if not reply.ok:
            raise DeliveryRefusedError(
                f"The FHIR server refuses a search of {kind}: {reply.status}{self._issues(reply)}."
            )
        found = self._http.json_of(reply)
        try:
            entries = [each["resource"] for each in found.get("entry", [])]
        except (AttributeError, KeyError, TypeError) as error:
            raise TryAgainError("The FHIR server answers what is no Bundle.", "fhir") from error
        return [each for each in entries if each.get("resourceType") == kind]

    def read(self, reference: str) -> Resource | None:
        """Return a resource by its type and id; None if it is not there.

        Raises:
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        reply = self._http.ask("GET", reference, headers={"Accept": MEDIA_TYPE})
        found = self._http.json_of(reply) if reply.ok else None
        return found if isinstance(found, dict) else None

    def healthy(self) -> bool:
        """Return whether the server gives its CapabilityStatement.

        Raises:
            ServerUnavailableError, TryAgainError: it does not answer.
        """
        return self._http.ask("GET", "metadata", headers={"Accept": MEDIA_TYPE}).ok

    def send(self, bundle: Resource, *, by_version: bool = False) -> None:
        """Send a transaction.

        Args:
            bundle: the transaction.
            by_version: whether it changes a version of a resource, so that 412 means another one
                came meanwhile.

        Raises:
            DeliveryRefusedError: the server refuses it.
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`; also a conflict.
        """
        conflicts = (_CONFLICT, _OTHER_VERSION) if by_version else (_CONFLICT,)
        reply = self._http.ask(
            "POST",
            "",
            content=json.dumps(bundle).encode(),
            headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
        )
        if reply.status in conflicts:
            raise self._http.unexpected(reply)
        if not reply.ok:
            raise DeliveryRefusedError(
                f"The FHIR server refuses the transaction: {reply.status}{self._issues(reply)}."
            )
        self._check_entries(reply, conflicts)

    def _check_entries(self, reply: Reply, conflicts: Sequence[int]) -> None:
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
            if status.startswith(tuple(str(each) for each in conflicts)):
                raise TryAgainError(f"The FHIR server answered {_printable(status)[:3]}.", "fhir")
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
