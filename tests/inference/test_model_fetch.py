"""Fetching a signed version from an address: what arrives, what is refused, and what is left."""

import gzip
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from lentigo_contract.errors import (
    DamagedVersionError,
    LentigoError,
    PublishError,
    StorageError,
    UntrustedVersionError,
)
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.cli import main
from lentigo_inference.errors import ModelFetchError
from lentigo_inference.model_fetch import FetchLimits, fetch_version
from lentigo_inference.security.model_signature import ModelKeys
from lentigo_trainer.export.signing import read_model_signer, sign_version
from tests.keys import Pair, make_pair
from tests.models import publish_plain
from tests.ports import free_port


@dataclass
class Host:
    """A server of files; `files` has what is under each path, and its status."""

    url: str
    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def offer(self, content: bytes, status: int = 200) -> str:
        self.files["/models/2.tar.gz"] = (status, content)
        return f"{self.url}/models/2.tar.gz?signature=secret"


@pytest.fixture
def host() -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = offered.files[self.path.partition("?")[0]]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        offered = Host(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield offered
        server.shutdown()
        thread.join()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path / "keys")


@pytest.fixture
def keys(pair: Pair) -> ModelKeys:
    return ModelKeys(pair.public)


@pytest.fixture
def published(tmp_path: Path, pair: Pair) -> Path:
    """The folder of version 2 of another repository, signed."""
    store = ModelStore(tmp_path / "published")
    publish_plain(store, 1)
    folder = publish_plain(store, 2).path
    sign_version(folder, read_model_signer(pair.private))
    return folder


def packed(folder: Path, under: str = "2", *, zipped: bool = True) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz" if zipped else "w") as tar:
        tar.add(folder, arcname=under)
    return content.getvalue()


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def is_empty(store: ModelStore) -> bool:
    return not store.folder.exists() or list(store.folder.iterdir()) == []


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("under", ["2", "lentigo/2", "./2", "."])
def test_a_signed_version_arrives_as_it_was_published(
    host: Host, store: ModelStore, keys: ModelKeys, published: Path, under: str, zipped: bool
) -> None:
    fetched = fetch_version(host.offer(packed(published, under, zipped=zipped)), store, keys)
    assert fetched.path == store.folder / "2"
    assert store.versions() == [2]
    for file in published.rglob("*"):
        if file.is_file():
            assert (fetched.path / file.relative_to(published)).read_bytes() == file.read_bytes()
    keys.verify(store.open(2))
    assert [path.name for path in store.folder.iterdir()] == ["2"]


def test_a_version_that_is_there_is_left_as_it_is(
    host: Host, store: ModelStore, keys: ModelKeys, published: Path
) -> None:
    address = host.offer(packed(published))
    before = fetch_version(address, store, keys).path.stat()
    assert fetch_version(address, store, keys).version == 2
    assert (store.folder / "2").stat() == before


def test_another_version_under_the_same_number_stays(
    host: Host, store: ModelStore, keys: ModelKeys, published: Path
) -> None:
    publish_plain(store, 5)
    mine = publish_plain(store, 6)
    with pytest.raises(PublishError, match="another version"):
        fetch_version(host.offer(packed(published)), store, keys)
    assert store.open(2).manifest_sha256 == mine.manifest_sha256


def test_a_version_of_another_key_is_refused(
    host: Host, store: ModelStore, published: Path, tmp_path: Path
) -> None:
    other = ModelKeys(make_pair(tmp_path / "others").public)
    with pytest.raises(UntrustedVersionError):
        fetch_version(host.offer(packed(published)), store, other)
    assert is_empty(store)


def unsigned(folder: Path) -> None:
    (folder / "model.sig").unlink()


def changed(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 2', '"version": 3'))


def damaged(folder: Path) -> None:
    manifest = Manifest.read(folder / "manifest.json")
    (folder / min(manifest.files)).write_bytes(b"other")


def with_another_file(folder: Path) -> None:
    (folder / "more").write_bytes(b"more")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (unsigned, UntrustedVersionError),
        (changed, UntrustedVersionError),
        (damaged, DamagedVersionError),
        (with_another_file, DamagedVersionError),
    ],
)
def test_what_was_not_signed_as_it_is_does_not_arrive(
    host: Host,
    store: ModelStore,
    keys: ModelKeys,
    published: Path,
    spoil: Callable[[Path], None],
    error: type[LentigoError],
) -> None:
    spoil(published)
    with pytest.raises(error):
        fetch_version(host.offer(packed(published)), store, keys)
    assert is_empty(store)


def refused(address: str, store: ModelStore, keys: ModelKeys, most: int = 2**23) -> str:
    with pytest.raises(ModelFetchError) as refusal:
        fetch_version(address, store, keys, FetchLimits(max_bytes=most))
    assert is_empty(store)
    text = str(refusal.value)
    assert len(text.splitlines()) == 1
    assert "secret" not in text
    return text


MANIFEST = (member("2/manifest.json"), b"{}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no whole tar archive"),
        (b"<html>sign in</html>" * 100, "no whole tar archive"),
        (gzip.compress(b"a" * 10_000), "no whole tar archive"),
        (archive_of(), "0 files manifest.json"),
        (archive_of(MANIFEST, (member("3/manifest.json"), b"{}")), "2 files manifest.json"),
        (archive_of((member("a/b/c/d/manifest.json"), b"{}")), "0 files manifest.json"),
        (archive_of(MANIFEST, (member("../escaped"), b"a")), "leads out of its folder"),
        (archive_of(MANIFEST, (member("/escaped"), b"a")), "leads out of its folder"),
        (archive_of(MANIFEST, MANIFEST), "no whole tar archive"),
        (archive_of((member("2/x", tarfile.SYMTYPE, "/etc/passwd"), b"")), "plain files only"),
        (archive_of((member("2/x", tarfile.LNKTYPE, "2/y"), b"")), "plain files only"),
        (archive_of((member("2/x", tarfile.FIFOTYPE), b"")), "plain files only"),
        (archive_of((member("a"), b"a"), (member("a/b"), b"b")), "no whole tar archive"),
        (archive_of((member("x" * 300 + "/" + "y" * 300), b"a")), "no whole tar archive"),
        (archive_of(*((member(f"2/{n}"), b"") for n in range(10_001))), "more than 10,000 files"),
        # Sixteen megabytes of nothing in sixteen kilobytes.
        (archive_of((member("2/zeros"), bytes(2**24))), "What is unpacked has more than"),
    ],
    # An archive's bytes hold the time, and all workers have to collect the same names.
    ids=[
        "nothing",
        "a page",
        "text that is packed",
        "no files",
        "two manifests",
        "a manifest too deep",
        "a path to the parent folder",
        "a path from the root",
        "one name twice",
        "a symbolic link",
        "a hard link",
        "a pipe",
        "a file as a folder",
        "a long name",
        "many files",
        "much when unpacked",
    ],
)
def test_what_is_no_archive_of_a_version_is_one_line(
    host: Host, store: ModelStore, keys: ModelKeys, content: bytes, says: str
) -> None:
    assert says in refused(host.offer(content), store, keys)


@pytest.mark.parametrize("part", [0.2, 0.9])
def test_an_archive_that_ends_in_the_middle_is_one_line(
    host: Host, store: ModelStore, keys: ModelKeys, published: Path, part: float
) -> None:
    whole = packed(published)
    refused(host.offer(whole[: int(len(whole) * part)]), store, keys)


def test_a_large_archive_is_not_read_to_its_end(
    host: Host, store: ModelStore, keys: ModelKeys
) -> None:
    assert "has more than 1,048,576 bytes" in refused(
        host.offer(bytes(2**21)), store, keys, most=2**20
    )


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_names_its_status_and_no_secret(
    host: Host, store: ModelStore, keys: ModelKeys, status: int
) -> None:
    text = refused(host.offer(b"", status), store, keys)
    assert f"status {status}" in text
    assert f"{host.url.rpartition(':')[0]}/models/2.tar.gz" in text


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://a/b", "http://", "4.tar", "http://["]
)
def test_an_address_must_be_one_of_http(store: ModelStore, keys: ModelKeys, address: str) -> None:
    assert "must begin with https://" in refused(address, store, keys)


def test_a_host_that_is_not_there_is_one_line(store: ModelStore, keys: ModelKeys) -> None:
    address = f"http://127.0.0.1:{free_port()}/2.tar.gz?key=secret"
    assert "cannot be fetched (ConnectError)" in refused(address, store, keys)


def test_a_host_that_is_slow_is_left(
    host: Host, store: ModelStore, keys: ModelKeys, published: Path
) -> None:
    hours = count(step=3600.0)
    with pytest.raises(ModelFetchError, match="not read within 600 s"):
        fetch_version(host.offer(packed(published)), store, keys, clock=lambda: next(hours))
    assert is_empty(store)


def test_a_repository_that_cannot_be_written_is_named(
    host: Host, tmp_path: Path, keys: ModelKeys, published: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="Nothing was published"):
        fetch_version(host.offer(packed(published)), ModelStore(tmp_path / "file"), keys)


def test_the_command_says_where_the_version_is(
    host: Host,
    store: ModelStore,
    pair: Pair,
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LENTIGO_MODEL_REPOSITORY", str(store.root))
    monkeypatch.setenv("LENTIGO_MODEL_KEY", str(pair.public))
    assert main(["fetch", host.offer(packed(published))]) == 0
    assert capsys.readouterr().out == (
        f"Version 2 is in {store.folder / '2'}; its signature is good.\n"
    )


def test_the_command_needs_a_key(
    host: Host, store: ModelStore, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", host.offer(packed(published))]) == 2
    assert "LENTIGO_MODEL_KEY" in capsys.readouterr().err
    assert is_empty(store)
