"""Orthanc's own REST API: the feed of changes, and instances by Orthanc's ids.

https://orthanc.uclouvain.be/book/users/rest.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lentigo_gateway.errors import InstanceGoneError, TryAgainError
from lentigo_gateway.http_server import HttpServer

_NEW_INSTANCE: Final = "NewInstance"
# SHA-1 in five groups of eight.
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}")


@dataclass(frozen=True, slots=True)
class Changes:
    """A part of the feed.

    Attributes:
        instances: Orthanc's ids of instances that are new.
        last: number of the last change in this part.
        done: whether it is the end of the feed.
    """

    instances: tuple[str, ...]
    last: int
    done: bool


class Orthanc:
    """An Orthanc server."""

    def __init__(self, http: HttpServer) -> None:
        """Ask it over this connection."""
        self._http = http

    def changes(self, since: int, limit: int) -> Changes:
        """Return the changes after number `since`, at most `limit` of them.

        Raises:
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        found = self._http.get_json("changes", {"since": since, "limit": limit})
        try:
            instances = tuple(
                each["ID"] for each in found["Changes"] if each["ChangeType"] == _NEW_INSTANCE
            )
            return Changes(instances, int(found["Last"]), bool(found["Done"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _not_orthanc() from error

    def last_change(self) -> int:
        """Return the number of the newest change.

        Raises:
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        found = self._http.get_json("changes?last")
        try:
            return int(found["Last"])
        except (KeyError, TypeError, ValueError) as error:
            raise _not_orthanc() from error

    def tags(self, orthanc_id: str) -> Mapping[str, Any] | None:
        """Return the attributes of an instance by keyword, without pixels; None if it is gone.

        Raises:
            BoundsError: it has too many, such as a slide with attributes for each of its tiles.
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        found = self._http.get_json(f"instances/{_checked(orthanc_id)}/simplified-tags")
        if found is not None and not isinstance(found, dict):
            raise _not_orthanc()
        return found

    def sop_class(self, orthanc_id: str) -> str | None:
        """Return the SOP class of an instance, which Orthanc keeps apart; None if it is gone.

        Raises:
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        reply = self._http.ask("GET", f"instances/{_checked(orthanc_id)}/metadata/SopClassUid")
        return reply.body.decode("ascii", "replace").strip(" \0") if reply.ok else None

    def file(self, orthanc_id: str, max_bytes: int) -> bytes:
        """Return an instance as a DICOM file, as it is stored.

        Raises:
            InstanceGoneError: Orthanc does not have it.
            BoundsError: it is larger.
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        path = f"instances/{_checked(orthanc_id)}/file"
        reply = self._http.ask("GET", path, max_bytes=max_bytes)
        if reply.status == 404:
            raise InstanceGoneError("The archive no longer has the instance.")
        if not reply.ok:
            raise self._http.unexpected(reply)
        return reply.body


def _checked(orthanc_id: object) -> str:
    """Return an id, which becomes part of a path, if it is one of Orthanc's."""
    if not isinstance(orthanc_id, str) or not _ID.fullmatch(orthanc_id):
        raise _not_orthanc()
    return orthanc_id


def _not_orthanc() -> TryAgainError:
    return TryAgainError("The archive does not answer as Orthanc does.", "archive")
