from pathlib import Path

import pytest

from lentigo_gateway.config import load_config, read_secret
from lentigo_gateway.errors import ConfigError

SMALLEST = """
[service]
url = "http://127.0.0.1:8000"
[archive]
url = "http://127.0.0.1:8042/dicom-web"
[sources.orthanc]
url = "http://127.0.0.1:8042"
[worklist]
folder = "work"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


def test_the_smallest_file_has_defaults_for_the_rest(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SMALLEST))
    assert config.worklist.attempts == 10
    assert config.page is None
    assert config.fhir is None
    assert config.results.secondary_capture
    assert [rule.sop_class for rule in config.rules] == [("dermoscopic",)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "service: Field required"),
        ("[service", "is not TOML"),
        (SMALLEST + "[page]\nhost = '192.0.2.1'", "page.host"),
        (SMALLEST + "[page]\nprot = 1", "page.prot"),
        (SMALLEST + "[[rules]]\nsop_class = ['ct']", "rules.0.sop_class.0"),
        (SMALLEST + "[sources.listener]\ncallers = []", "sources.listener.callers"),
        (SMALLEST + "[sources.listener]\ncallers = ['A TITLE THAT IS TOO LONG']", "callers.0"),
        (SMALLEST + "[images]\nmax_frames = 0", "images.max_frames"),
        (SMALLEST.replace("http://127.0.0.1:8000", "file:///x"), "service.url"),
        (
            SMALLEST.replace('[sources.orthanc]\nurl = "http://127.0.0.1:8042"', "[sources]"),
            "at least one",
        ),
        (
            SMALLEST.replace("[archive]", "[archive]\nuser = 'gateway'"),
            "user and password_file go together",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace(".", r"\.")):
        load_config(written(tmp_path, text))


def test_a_missing_file_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(tmp_path / "none.toml")


def test_an_error_does_not_repeat_a_value(tmp_path: Path) -> None:
    text = SMALLEST.replace('url = "http://127.0.0.1:8000"', 'url = "hunter2"')
    with pytest.raises(ConfigError) as raised:
        load_config(written(tmp_path, text))
    assert "hunter2" not in str(raised.value)


def test_a_secret_is_read_without_its_end_of_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    assert read_secret(tmp_path / "key") == "secret"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"x" * 9_000])
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError):
        read_secret(tmp_path / "key")
