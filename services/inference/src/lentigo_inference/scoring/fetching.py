"""Get the bytes of an image: from a file, from a URL, or as they came.

At most one byte more than the limit is read of any of them. `http` and `https` are asked by httpx;
every other scheme by fsspec and the file system that is installed for it, such as s3fs.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from lentigo_contract.errors import ImageTooLargeError
from lentigo_contract.system.files import read_start
from lentigo_inference.errors import FetchError, FetchFailure
from lentigo_inference.scoring.items import Content, LocalFile, Place, Unusable, Url

# A file system that hangs keeps its thread. More of them than this and the rest is not even asked.
_MAX_HANGING: Final = 16

_MAX_REDIRECTS: Final = 5
_HTTP: Final = ("http", "https")


@dataclass(slots=True)
class Fetcher:
    """Gets bytes. Any thread may use it.

    Attributes:
        max_bytes: of an image.
        timeout_s: for one image, in seconds, from the first byte asked for to the last.
    """

    max_bytes: int
    timeout_s: float
    _client: httpx.Client | None = None
    _making: threading.Lock = field(default_factory=threading.Lock)
    _hanging: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_MAX_HANGING)
    )

    def fetch(self, place: Place) -> bytes:
        """Return the bytes of an image.

        Raises:
            FetchError: they cannot be had.
            ImageTooLargeError: there are more than the limit.
        """
        data = self._bytes_of(place)
        if len(data) > self.max_bytes:
            raise too_large(self.max_bytes)
        return data

    def close(self) -> None:
        """Close the connections."""
        with self._making:
            if self._client is not None:
                self._client.close()

    def _bytes_of(self, place: Place) -> bytes:
        match place:
            case Content():
                return place.data
            case LocalFile():
                return self._from_file(place)
            case Url():
                return self._from_url(place.url)
            case Unusable():
                raise place.error

    def _from_file(self, place: LocalFile) -> bytes:
        try:
            data = read_start(place.path, self.max_bytes + 1)
        except FileNotFoundError as error:
            raise FetchError("The file does not exist.", FetchFailure.NOT_FOUND) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise FetchError(
                f"The file cannot be read ({reason}).", FetchFailure.UNREADABLE
            ) from error
        if data is None:
            raise FetchError("This is not a file.", FetchFailure.UNREADABLE)
        return data

    def _from_url(self, url: str) -> bytes:
        scheme = urlsplit(url).scheme
        if scheme in _HTTP:
            return self._by_http(url)
        return self._within_time(lambda: _by_file_system(url, scheme, self.max_bytes + 1))

    def _by_http(self, url: str) -> bytes:
        with self._making:
            if self._client is None:
                self._client = httpx.Client(
                    timeout=self.timeout_s, follow_redirects=True, max_redirects=_MAX_REDIRECTS
                )
        deadline = time.monotonic() + self.timeout_s
        data = bytearray()
        try:
            with self._client.stream("GET", url) as response:
                if response.status_code in (404, 410):
                    raise FetchError("There is nothing at the URL.", FetchFailure.NOT_FOUND)
                if not response.is_success:
                    raise FetchError(
                        f"The server answered with status {response.status_code}.",
                        FetchFailure.UNREADABLE,
                    )
                for chunk in response.iter_bytes():
                    data += chunk
                    # Timeouts of a client are for each step; a server may drip for ever.
                    if time.monotonic() > deadline:
                        raise self._too_slow()
                    if len(data) > self.max_bytes:
                        break
        except httpx.TimeoutException as error:
            raise self._too_slow() from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(
                f"The URL cannot be read ({type(error).__name__}).", FetchFailure.UNREADABLE
            ) from error
        return bytes(data)

    def _within_time(self, read: Callable[[], bytes]) -> bytes:
        """Run what may hang on a thread of its own, and leave it there if it does."""
        if not self._hanging.acquire(blocking=False):
            raise self._too_slow()
        results: list[bytes | Exception] = []

        def run() -> None:
            try:
                results.append(read())
            except Exception as error:  # noqa: BLE001 - raised again below
                results.append(error)
            finally:
                self._hanging.release()

        thread = threading.Thread(target=run, name="lentigo-fetch", daemon=True)
        thread.start()
        thread.join(self.timeout_s)
        if not results:
            raise self._too_slow()
        (result,) = results
        if isinstance(result, Exception):
            raise result
        return result

    def _too_slow(self) -> FetchError:
        return FetchError(
            f"The URL gave no image within {self.timeout_s:g} seconds.", FetchFailure.TIMEOUT
        )


def too_large(max_bytes: int) -> ImageTooLargeError:
    """Return the error about an image with more bytes than the limit."""
    return ImageTooLargeError(
        f"The image has more than {max_bytes:,} bytes. LENTIGO_MAX_UPLOAD_BYTES is the limit."
    )


def _by_file_system(url: str, scheme: str, size: int) -> bytes:
    try:
        import fsspec  # noqa: PLC0415 - an extra

        with fsspec.open(url, "rb") as file:
            data: bytes = file.read(size)
    except FileNotFoundError as error:
        raise FetchError("There is nothing at the URL.", FetchFailure.NOT_FOUND) from error
    except (ImportError, ValueError) as error:
        raise FetchError(
            f"No file system for {scheme}:// is installed here. Install the one of fsspec, such "
            "as s3fs or gcsfs.",
            FetchFailure.UNSUPPORTED_URL,
        ) from error
    except Exception as error:
        # File systems fail in every way there is; what they say may name what nobody should read.
        raise FetchError(
            f"The URL cannot be read ({type(error).__name__}).", FetchFailure.UNREADABLE
        ) from error
    return data
