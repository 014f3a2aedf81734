"""Instances of a DICOM archive that a query finds, by DICOMweb (QIDO-RS and WADO-RS).

`lentigo-gateway` reads them, so that a row answers what the gateway would send to the service. This
is the only module that imports it, and is itself imported once such a source is named.

The archive is asked here and not where images are scored: credentials and headers stay in this
process, and workers get images as they get those of a zip file. A few instances are fetched ahead.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lentigo_contract.imaging.read import ImageLimits
from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archived_images import ArchivedImages, ListedInstance
from lentigo_gateway.config import ImagesConfig, ServerConfig
from lentigo_gateway.errors import (
    ConfigError,
    GatewayError,
    InstanceError,
    InstanceGoneError,
    SignInRefusedError,
    UnreadableInstanceError,
)
from lentigo_gateway.http_server import HttpServer
from lentigo_gateway.observability.logging import silence_libraries
from lentigo_gateway.pixels.frames import FrameImage
from lentigo_inference.errors import FetchError, FetchFailure, SettingsError, SourceError
from lentigo_inference.scoring.items import Content, Place, Unusable
from lentigo_inference.scoring.sources.archive_address import SIGN_IN, Address, parse_address
from lentigo_inference.scoring.sources.found import Found
from lentigo_inference.scoring.sources.instance_list import Asked, InstanceList

READ_AHEAD: Final = 4
"""Instances that are fetched at the same time, and that are in memory at most."""

_SOFTWARE: Final = ("lentigo-gateway", "pydicom", "pylibjpeg", "pyjpegls", "pillow")
_GOES_ON: Final = "What is finished is kept; the same command goes on from there."
_LOOK_EVERY_S: Final = 0.5


def dicomweb_source(
    source: str,
    folder: Path,
    limits: ImageLimits,
    timeout_s: float,
    environment: Mapping[str, str],
    stopped: Callable[[], None],
) -> "DicomWebSource":
    """Return the source that an address names; nothing is asked yet.

    Libraries that quote what they read to the log are silenced, in this whole process.

    Args:
        source: the address.
        folder: with the results, which keeps the list of the instances.
        limits: of an image, as the service has them.
        timeout_s: for an answer of the archive, in seconds.
        environment: has the variables of `SIGN_IN`.
        stopped: raises once the run should end.

    Raises:
        SourceError: the address is none.
        SettingsError: the query or a variable cannot be used.
    """
    address = parse_address(source)
    silence_libraries()
    images = ImagesConfig(max_frame_bytes=limits.max_bytes, max_pixels=limits.max_pixels)
    try:
        archive = DicomWeb(HttpServer(_server(address.url, timeout_s, environment), "archive"))
        found = ArchivedImages(archive, address.query, images)
    except ConfigError as error:
        raise SettingsError(str(error)) from error
    return DicomWebSource(address, found, InstanceList(folder), stopped)


def _server(url: str, timeout_s: float, environment: Mapping[str, str]) -> ServerConfig:
    values = {name: environment.get(variable) or None for name, variable in SIGN_IN.items()}
    if (values["user"] is None) != (values["password_file"] is None) or (
        values["user"] and values["key_file"]
    ):
        raise SettingsError(
            f"Set {SIGN_IN['user']} and {SIGN_IN['password_file']}, or {SIGN_IN['key_file']} alone."
        )
    try:
        return ServerConfig.model_validate({"url": url, "timeout_s": timeout_s, **values})
    except ValidationError as error:
        raise SourceError("The address of the archive is none.") from error


class DicomWebSource:
    """See `Source`. `list_instances` comes first."""

    def __init__(
        self,
        address: Address,
        archive: ArchivedImages,
        listed: InstanceList,
        stopped: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; see `dicomweb_source`."""
        self._address = address
        self._archive = archive
        self._list = listed
        self._stopped = stopped

    @property
    def identity(self) -> dict[str, str]:
        """See `Source`."""
        return {"kind": "dicomweb", "path": str(self._address), "software": _software()}

    def list_instances(self, note: Callable[[int], None] = lambda _count: None) -> None:
        """Ask the archive for all that the query finds, as far as that was not done before.

        Args:
            note: is told how many there are so far.

        Raises:
            SourceError: the archive is away, fails, finds nothing, or has no pages.
            ResultFolderError: the list cannot be written.
        """
        self._list.begin()
        listed = self._list.count()
        for sop_class in self._archive.classes:
            while not (asked := self._list.asked(sop_class)).done:
                listed += self._add_page(sop_class, asked)
                note(listed)
        if not self._list.count():
            # The same command may find some another day.
            self._list.clear()
            raise SourceError(
                "The archive has no photograph that matches the query, or its DICOMweb has another "
                "address."
            )

    def images(self) -> Iterator[Found]:
        """See `Source`."""
        ahead: deque[_Instance] = deque()
        listed = self._list.instances()
        while True:
            while len(ahead) < READ_AHEAD and (row := next(listed, None)) is not None:
                ahead.append(_Instance(self._archive, row))
            if not ahead:
                return
            instance = ahead[0]
            for number, path in enumerate(instance.paths):
                yield Found(
                    path,
                    "",
                    lambda instance=instance, number=number: self._place(  # type: ignore[misc]
                        ahead, instance, number
                    ),
                )
            ahead.popleft()

    def _add_page(self, sop_class: str, asked: Asked) -> int:
        try:
            page = self._archive.page(sop_class, asked.received)
        except GatewayError as error:
            raise _ended(error) from error
        rows = [
            (each.sop_instance_uid, each.series_instance_uid, each.study_instance_uid, each.frames)
            for each in page.instances
        ]
        # Not the first short page: an archive may send fewer than it is asked for.
        after = Asked(asked.received + page.received, done=not page.received)
        new = self._list.add(sop_class, rows, after)
        if page.received and not new:
            raise SourceError(
                "The archive answers a query with the same instances again and again: it has no "
                "pages (limit and offset of QIDO-RS). Narrow the query, and name another folder."
            )
        return new

    def _place(self, ahead: "deque[_Instance]", instance: "_Instance", number: int) -> Place:
        """Return a frame, and have the instances fetched that come next."""
        for each in ahead:
            each.start()
        try:
            return Content(instance.frame(number, self._stopped).data)
        except InstanceError as error:
            return Unusable(FetchError(str(error), FetchFailure.UNUSABLE_INSTANCE))
        except InstanceGoneError as error:
            return Unusable(FetchError(str(error), FetchFailure.NOT_FOUND))
        except UnreadableInstanceError as error:
            return Unusable(FetchError(str(error), FetchFailure.UNREADABLE))
        except GatewayError as error:
            raise _ended(error) from error


class _Instance:
    """An instance of the list, which a thread of its own fetches. One thread asks for its frames.

    A thread and no pool: a pool's would keep the program from ending while an archive hangs.
    """

    def __init__(self, archive: ArchivedImages, row: tuple[str, str, str, int]) -> None:
        self._archive = archive
        self._instance = ListedInstance(*row)
        self._fetched: Future[Iterator[FrameImage]] | None = None
        self._frames_read = 0
        self._failure: Exception | None = None

    @property
    def paths(self) -> list[str]:
        """The path of each row: its UID, with the number of the frame if there are several."""
        uid, rows = self._instance.sop_instance_uid, self._archive.rows(self._instance)
        return [uid] if rows == 1 else [f"{uid}/frames/{number + 1}" for number in range(rows)]

    def start(self) -> None:
        """Have it fetched, unless it is already."""
        if self._fetched is None:
            self._fetched = Future()
            threading.Thread(
                target=self._fetch, args=(self._fetched,), name="lentigo-archive", daemon=True
            ).start()

    def frame(self, number: int, stopped: Callable[[], None]) -> FrameImage:
        """Return a frame, from 0; what the first that fails raises, each after it does too."""
        if self._fetched is None:
            raise RuntimeError("An instance is started first.")
        while not wait([self._fetched], _LOOK_EVERY_S).done:
            stopped()
        if self._failure is not None:
            raise self._failure
        try:
            frames = self._fetched.result()
            while True:
                image = next(frames)
                self._frames_read += 1
                if self._frames_read > number:
                    return image
        except Exception as error:
            self._failure = error
            raise

    def _fetch(self, fetched: Future[Iterator[FrameImage]]) -> None:
        try:
            fetched.set_result(self._archive.read(self._instance))
        except BaseException as error:  # noqa: BLE001 - raised where it is asked for
            fetched.set_exception(error)


def _ended(error: Exception) -> SourceError:
    hint = ""
    if isinstance(error, SignInRefusedError):
        hint = f" Set {', '.join(tuple(SIGN_IN.values())[:3])}."
    return SourceError(f"{error}{hint} {_GOES_ON}")


def _software() -> str:
    """Return the versions of what reads an instance: others may decode it otherwise."""
    found = []
    for package in _SOFTWARE:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
