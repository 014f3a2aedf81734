"""The files of a dataset on a Dataverse server, as its native API lists them.

https://guides.dataverse.org/en/latest/api/native-api.html and dataaccess.html. A table that was
uploaded as CSV is kept twice, as the original and as tab-separated text. The listing has the name
and `filesize` of the text; `originalFileSize` is that of the original, which `format=original`
requests. The checksum is usually that of the original, but for some older files that of neither
(https://github.com/IQSS/dataverse/issues/5321 and 9501), so a different checksum does not prove
that an original is damaged.
"""

from dataclasses import dataclass
from typing import Any

import httpx

from lentigo_trainer.errors import DownloadError
from lentigo_trainer.system.retrying import connection_errors, require_status


@dataclass(frozen=True, slots=True)
class CheckSum:
    """A checksum: `hashlib`'s name of the algorithm, and the hexadecimal value."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file that can be downloaded.

    Attributes:
        name: in the listing of the dataset.
        url: address of its bytes, or of those of its original.
        size: in bytes; None if the server does not list it.
        check_sum: None if the server lists none that can be computed here.
        is_original: whether it is the original of a table, whose checksum is unreliable.
    """

    name: str
    url: str
    size: int | None
    check_sum: CheckSum | None
    is_original: bool


def list_files(client: httpx.Client, server: str, persistent_id: str) -> tuple[RemoteFile, ...]:
    """Request the list of files of the latest published version.

    Args:
        client: follows redirects.
        server: address such as https://dataverse.harvard.edu.
        persistent_id: of the dataset, such as doi:10.7910/DVN/DBW86T.

    Raises:
        InterruptedTransferError: the server cannot be reached or is busy.
        DownloadError: the server refuses, or its response is not a list of files.
    """
    base = server.rstrip("/")
    with connection_errors(base):
        response = client.get(
            f"{base}/api/datasets/:persistentId/", params={"persistentId": persistent_id}
        )
    require_status(response, httpx.codes.OK)
    try:
        entries = response.json()["data"]["latestVersion"]["files"]
        return tuple(_remote_file(base, entry) for entry in entries)
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(
            f"{base} did not answer like a Dataverse server ({type(error).__name__}: {error}). "
            "Check the server's address."
        ) from error


def _remote_file(base: str, entry: dict[str, Any]) -> RemoteFile:
    data = entry["dataFile"]
    is_original = "originalFileFormat" in data
    url = f"{base}/api/access/datafile/{int(data['id'])}"
    size = data.get("originalFileSize") if is_original else data["filesize"]
    return RemoteFile(
        name=str(data.get("filename") or entry["label"]),
        url=f"{url}?format=original" if is_original else url,
        size=None if size is None else int(size),
        check_sum=_check_sum(data),
        is_original=is_original,
    )


def _check_sum(data: dict[str, Any]) -> CheckSum | None:
    stated = data.get("checksum") or {"type": "MD5", "value": data.get("md5")}
    # Dataverse lists MD5, SHA-1, SHA-256 or SHA-512.
    algorithm = str(stated["type"]).lower().replace("-", "")
    if algorithm not in ("md5", "sha1", "sha256", "sha512") or not stated["value"]:
        return None
    return CheckSum(algorithm, str(stated["value"]).lower())
