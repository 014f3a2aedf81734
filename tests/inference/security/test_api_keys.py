import json
import socket
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from lentigo_inference.cli import main
from lentigo_inference.errors import KeyFileError
from lentigo_inference.security.api_keys import (
    KeyLimits,
    KeyRing,
    PresentedKey,
    Scope,
    add_key,
    make_key,
    read_keys,
    remove_key,
)
from tests.inference.security.old_key_file import SCHEMA_1, SCHEMA_1_KEY

PREDICT = frozenset({Scope.PREDICT})


def test_a_key_matches_its_record_and_no_other_does() -> None:
    record, text = make_key("ward", PREDICT)
    key, other = PresentedKey.parse(text), PresentedKey.parse(make_key("ward", PREDICT)[1])
    assert key is not None
    assert other is not None
    assert key.id == record.id
    assert record.matches(key.secret)
    assert not record.matches(other.secret)


def test_neither_the_record_nor_a_parsed_key_shows_the_secret() -> None:
    record, text = make_key("ward", PREDICT)
    key = PresentedKey.parse(text)
    assert key is not None
    assert key.secret not in record.model_dump_json() + repr(record) + repr(key)


@pytest.mark.parametrize(
    "text", ["", "lentigo", "lentigo__x", "lentigo_x_", "other_a_b", "x" * 999]
)
def test_text_that_is_not_one_of_our_keys_parses_as_none(text: str) -> None:
    assert PresentedKey.parse(text) is None


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a\nb", "a" * 65])
def test_a_key_name_with_unsafe_characters_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        make_key(name, PREDICT)


def test_the_file_is_for_its_owner_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, make_key("ward", PREDICT)[0])
    add_key(path, make_key("lab", PREDICT)[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert [key.name for key in read_keys(path).keys] == ["ward", "lab"]


@pytest.mark.parametrize("mode", [0o666, 0o622, 0o602, 0o620])
def test_a_file_that_others_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    add_key(path, make_key("ward", PREDICT)[0])
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}.*chmod go-w"):
        read_keys(path)
    with pytest.raises(KeyFileError, match="Other users can change"):
        add_key(path, make_key("lab", PREDICT)[0])


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o644])
def test_a_file_that_others_may_only_read_is_used(tmp_path: Path, mode: int) -> None:
    """As secrets of Kubernetes are mounted; the file has digests only."""
    path = tmp_path / "keys.json"
    add_key(path, make_key("ward", PREDICT)[0])
    path.chmod(mode)
    assert [key.name for key in read_keys(path).keys] == ["ward"]


def test_a_key_name_is_unique_and_free_again_after_its_removal(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, make_key("ward", PREDICT)[0])
    with pytest.raises(KeyFileError, match="Choose another name"):
        add_key(path, make_key("ward", PREDICT)[0])
    remove_key(path, "ward")
    assert read_keys(path) == KeyRing()
    with pytest.raises(KeyFileError, match='no key named "ward"'):
        remove_key(path, "ward")


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    records = [make_key(f"ward-{number}", PREDICT)[0] for number in range(8)]
    writers = [threading.Thread(target=add_key, args=(path, record)) for record in records]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert set(read_keys(path).keys) == set(records)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": [{"name": "x"}]}', '{"keys": 1}'])
def test_a_damaged_file_is_an_error_that_does_not_quote_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(KeyFileError, match="is damaged") as raised:
        read_keys(path)
    assert raised.value.__cause__ is not None
    with pytest.raises(KeyFileError, match="is damaged"):
        add_key(path, make_key("ward", PREDICT)[0])
    assert path.read_text() == content


def test_a_file_of_schema_1_is_read_and_its_key_matches(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(SCHEMA_1)
    (record,) = read_keys(path).keys
    key = PresentedKey.parse(SCHEMA_1_KEY)
    assert key is not None
    assert (record.id, record.name, record.scopes) == (key.id, "ward", PREDICT)
    assert record.matches(key.secret)
    assert not record.matches(key.secret + "x")


def test_a_file_of_schema_1_becomes_schema_2_with_the_first_change(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(SCHEMA_1)
    (old,) = read_keys(path).keys
    new, _text = make_key("ward-b", PREDICT)
    add_key(path, new)
    assert json.loads(path.read_text())["schema_version"] == 2
    assert read_keys(path).keys == (old, new)
    remove_key(path, "ward")
    document = json.loads(path.read_text())
    assert document["schema_version"] == 2
    assert set(document["keys"][0]) == {"id", "name", "scopes", "created", "sha256"}


def test_a_file_of_an_unknown_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    content = '{"schema_version": 4, "keys": []}'
    path.write_text(content)
    with pytest.raises(KeyFileError, match="has schema 4, and this release reads 1, 2 and 3"):
        read_keys(path)
    with pytest.raises(KeyFileError, match="has schema 4"):
        add_key(path, make_key("ward", PREDICT)[0])
    assert path.read_text() == content


def test_a_file_has_schema_3_only_while_a_key_expires_or_has_limits(tmp_path: Path) -> None:
    """Until then an earlier release can still read it."""
    path = tmp_path / "keys.json"
    limits = KeyLimits(expires=datetime(2027, 1, 1, tzinfo=UTC), max_pending=3)
    plain, limited = make_key("ward", PREDICT)[0], make_key("lab", PREDICT, limits)[0]
    add_key(path, plain)
    assert json.loads(path.read_text())["schema_version"] == 2
    add_key(path, limited)
    document = json.loads(path.read_text())
    assert document["schema_version"] == 3
    assert "expires" not in document["keys"][0]
    assert document["keys"][1]["expires"] == "2027-01-01T00:00:00Z"
    assert read_keys(path).keys == (plain, limited)
    remove_key(path, "lab")
    assert json.loads(path.read_text())["schema_version"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "soon"},
        {"expires": "2027-01-01T00:00:00"},
        {"max_pending": 0},
        {"max_pending": "many"},
        {"rate_limit_per_minute": -1},
        {"limit": 1},
    ],
    ids=str,
)
def test_limits_that_cannot_be_kept_make_the_file_a_damaged_one(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "keys.json"
    add_key(path, make_key("ward", PREDICT)[0])
    document = json.loads(path.read_text())
    document["schema_version"] = 3
    document["keys"][0] |= change
    path.write_text(json.dumps(document))
    with pytest.raises(KeyFileError, match="is damaged"):
        read_keys(path)


def test_the_command_makes_a_key_that_expires_and_has_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    limits = ["--days", "90", "--rate-limit", "120", "--max-pending", "4"]
    started = datetime.now(UTC).replace(microsecond=0)
    command = ["keys", "add", "ward", "--scope", "predict", "--file", str(path)]
    assert main([*command, *limits]) == 0
    (record,) = read_keys(path).keys
    assert record.expires is not None
    assert started + timedelta(days=90) <= record.expires <= datetime.now(UTC) + timedelta(days=90)
    assert (record.rate_limit_per_minute, record.max_pending) == (120, 4)
    capsys.readouterr()
    assert main(["keys", "list", "--file", str(path)]) == 0
    columns = capsys.readouterr().out.rstrip().split("\t")
    assert columns[4:] == [record.expires.isoformat(), "120", "4"]


@pytest.mark.parametrize(
    "option", [["--days", "0"], ["--days", "x"], ["--rate-limit", "-1"], ["--max-pending", "0"]]
)
def test_a_limit_that_makes_no_sense_is_refused_before_a_key_is_made(
    tmp_path: Path, option: list[str]
) -> None:
    path = tmp_path / "keys.json"
    assert main(["keys", "add", "ward", "--scope", "predict", "--file", str(path), *option]) == 2
    assert not path.exists()


def test_the_command_makes_lists_and_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("LENTIGO_KEY_FILE", str(path))
    assert main(["keys", "add", "ward", "--scope", "predict", "--scope", "metrics"]) == 0
    text = capsys.readouterr().out.strip()
    key = PresentedKey.parse(text)
    assert key is not None
    assert read_keys(path).keys[0].matches(key.secret)
    assert main(["keys", "list"]) == 0
    listing = capsys.readouterr().out
    assert listing.split("\t")[:3] == ["ward", "metrics,predict", key.id]
    assert listing.rstrip().split("\t")[4:] == ["-", "-", "-"]
    assert key.secret not in listing
    assert main(["keys", "remove", "ward", "--file", str(path)]) == 0
    assert read_keys(path).keys == ()


@pytest.mark.parametrize(
    "arguments", [["list"], ["remove", "ward"], ["add", "a b", "--scope", "predict"]]
)
def test_a_command_that_fails_prints_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["keys", *arguments, "--file", str(tmp_path / "none.json")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_a_file_the_command_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LENTIGO_KEY_FILE", raising=False)
    assert main(["keys", "list"]) == 1
    assert "--file FILE" in capsys.readouterr().err


def test_without_keys_it_does_not_listen_beyond_loopback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LENTIGO_KEY_FILE", "LENTIGO_ALLOW_ANONYMOUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LENTIGO_HOST", "0.0.0.0")  # noqa: S104 - it must refuse
    monkeypatch.setenv("LENTIGO_PORT", "0")
    assert main([]) == 2
    message = capsys.readouterr().err
    assert "LENTIGO_ALLOW_ANONYMOUS=true" in message
    assert len(message.splitlines()) == 1


def test_it_does_not_start_with_a_key_file_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LENTIGO_KEY_FILE", str(tmp_path / "none.json"))
    monkeypatch.setenv("LENTIGO_PORT", "0")
    assert main([]) == 2
    assert "keys add" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("listens_on", "published_on", "refused"),
    [
        ("0.0.0.0", "127.0.0.1", False),  # noqa: S104 - a container's only choice
        ("0.0.0.0", "::1", False),  # noqa: S104
        ("0.0.0.0", "192.0.2.7", True),  # noqa: S104
        ("127.0.0.1", "0.0.0.0", True),  # noqa: S104
    ],
)
def test_the_published_address_decides_whether_keys_are_required(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    listens_on: str,
    published_on: str,
    refused: bool,
) -> None:
    served: list[str] = []

    def serve(_app: object, _settings: object, listener: socket.socket, _stopping: object) -> None:
        listener.close()
        served.append("served")

    monkeypatch.setattr("lentigo_inference.startup.serve", serve)
    monkeypatch.setattr("lentigo_inference.startup.configure_logs", lambda _settings: None)
    for name in ("LENTIGO_KEY_FILE", "LENTIGO_ALLOW_ANONYMOUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LENTIGO_HOST", listens_on)
    monkeypatch.setenv("LENTIGO_PORT", "0")
    monkeypatch.setenv("LENTIGO_PUBLISHED_ADDRESS", published_on)
    assert main([]) == (2 if refused else 0)
    assert served == ([] if refused else ["served"])
    assert (f"and {published_on} is not" in capsys.readouterr().err) == refused
