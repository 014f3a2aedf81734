from pathlib import Path

import pytest
from pydantic import ValidationError

from lentigo_inference.settings import Settings, environment_name, unknown_variables


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)


def test_by_default_it_serves_the_models_folder_on_loopback() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.model_repository == Path("models")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTIGO_PORT", "9000")
    monkeypatch.setenv("LENTIGO_MODEL_REPOSITORY", "/srv/models")
    settings = Settings()
    assert (settings.port, settings.model_repository) == (9000, Path("/srv/models"))


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTIGO_PORT", "")
    assert Settings().port == 8000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", "65536"),
        ("reload_interval_s", "0"),
        ("reload_interval_s", "nan"),
        ("upload_timeout_s", "inf"),
        ("max_upload_bytes", "0"),
        ("decode_threads", "0"),
        ("log_level", "loud"),
    ],
)
def test_an_impossible_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, field: str, value: str
) -> None:
    monkeypatch.setenv(environment_name(field), value)
    with pytest.raises(ValidationError, match=field):
        Settings()


def test_every_setting_is_described() -> None:
    assert all(info.description for info in Settings.model_fields.values())


def test_a_misspelt_variable_is_found() -> None:
    environment = {"LENTIGO_PROT": "1", "lentigo_port": "1", "PATH": "/bin"}
    assert unknown_variables(environment) == ["LENTIGO_PROT"]


def test_the_upload_limit_is_passed_to_decoding() -> None:
    assert Settings(max_upload_bytes=2048).image_limits().max_bytes == 2048


def test_the_limits_of_pixels_are_passed_to_decoding() -> None:
    assert Settings(max_pixels=2_000_000).image_limits().max_pixels == 2_000_000


@pytest.mark.parametrize("threads", [1, 2, 64])
def test_the_memory_for_decoding_grows_with_the_threads(threads: int) -> None:
    assert Settings(decode_threads=threads).decode_memory == (288 + 16 * threads) * 2**20


def test_too_little_memory_for_so_many_threads_is_refused() -> None:
    assert Settings(decode_threads=8, decode_memory=128 * 2**20).decode_memory == 128 * 2**20
    with pytest.raises(ValidationError, match="9 decode threads need"):
        Settings(decode_threads=9, decode_memory=128 * 2**20)
