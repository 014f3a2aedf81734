from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lentigo_gateway.config import ServerConfig
from lentigo_gateway.errors import BoundsError, ConfigError, ServerUnavailableError, TryAgainError
from lentigo_gateway.http_server import HttpServer

ADDRESS = "http://archive.test/dicom-web"


def server(answer: httpx.Response | Exception, **config: object) -> HttpServer:
    def handle(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    settings = ServerConfig.model_validate({"url": ADDRESS, **config})
    return HttpServer(settings, "archive", transport=httpx.MockTransport(handle))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ConnectError("x"), ServerUnavailableError),
        (httpx.ConnectTimeout("x"), ServerUnavailableError),
        (httpx.Response(429), ServerUnavailableError),
        (httpx.Response(503), ServerUnavailableError),
        (httpx.Response(507), ServerUnavailableError),
        (httpx.Response(401), ServerUnavailableError),
        (httpx.Response(403), ServerUnavailableError),
        (httpx.ReadTimeout("x"), TryAgainError),
        (httpx.WriteError("x"), TryAgainError),
        (httpx.RemoteProtocolError("x"), TryAgainError),
        (httpx.Response(408), TryAgainError),
        (httpx.Response(500), TryAgainError),
        (httpx.Response(504), TryAgainError),
    ],
)
def test_each_failure_is_one_of_two(
    answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    with pytest.raises(error):
        server(answer).ask("GET", "studies")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0", 0.0), ("", None), ("soon", None), ("-1", None), ("9" * 20, None)],
)
def test_what_a_busy_server_asks_for_is_told(value: str, seconds: float | None) -> None:
    with pytest.raises(ServerUnavailableError) as raised:
        server(httpx.Response(503, headers={"Retry-After": value})).ask("GET", "x")
    assert raised.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("Mon, 30 Nov 2026 12:01:30 GMT", "Mon, 30 Nov 2026 12:00:00 GMT", 90.0),
        ("Mon, 30 Nov 2026 11:59:00 GMT", "Mon, 30 Nov 2026 12:00:00 GMT", 0.0),
        ("Mon, 30 Nov 2026 12:01:30", "Mon, 30 Nov 2026 12:00:00 GMT", None),
        ("Mon, 30 Nov 2026 12:01:30 GMT", "yesterday", None),
        ("Mon, 30 Nov 2026 12:01:30 GMT", None, None),
    ],
)
def test_a_date_to_wait_for_counts_from_the_servers_own(
    value: str, date: str | None, seconds: float | None
) -> None:
    headers = {"Retry-After": value} | ({} if date is None else {"Date": date})
    with pytest.raises(ServerUnavailableError) as raised:
        server(httpx.Response(503, headers=headers)).ask("GET", "x")
    assert raised.value.retry_after_s == seconds


def test_other_statuses_are_for_the_caller() -> None:
    assert server(httpx.Response(404)).ask("GET", "x").status == 404
    assert server(httpx.Response(204)).get_json("x") is None


def test_a_response_that_declares_too_much_is_not_read() -> None:
    response = httpx.Response(200, headers={"Content-Length": "1000"}, content=b"")
    with pytest.raises(BoundsError):
        server(response).ask("GET", "x", max_bytes=999)


def test_a_response_without_a_length_is_counted() -> None:
    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 1_000

    with pytest.raises(BoundsError):
        server(httpx.Response(200, stream=Endless())).ask("GET", "x", max_bytes=10**6)


def test_redirections_are_not_followed() -> None:
    response = httpx.Response(302, headers={"Location": "http://elsewhere.test/"})
    assert server(response).ask("GET", "x").status == 302


def asked_with(**config: object) -> httpx.Request:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=b"{}")

    settings = ServerConfig.model_validate({"url": ADDRESS, **config})
    HttpServer(settings, "archive", transport=httpx.MockTransport(handle)).ask("GET", "studies")
    return asked[0]


def test_the_path_is_below_the_address() -> None:
    assert str(asked_with().url) == ADDRESS + "/studies"


def test_a_key_or_a_password_goes_along(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    with_key = asked_with(key_file=tmp_path / "secret")
    assert with_key.headers["Authorization"] == "Bearer s3cret"
    with_password = asked_with(user="gateway", password_file=tmp_path / "secret")
    assert with_password.headers["Authorization"] == "Basic Z2F0ZXdheTpzM2NyZXQ="
    assert "Authorization" not in asked_with().headers


def test_files_that_are_missing_are_errors_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        asked_with(key_file=tmp_path / "none")
    with pytest.raises(ConfigError):
        asked_with(ca_file=tmp_path / "none")


def test_a_message_names_the_server_and_not_what_was_asked() -> None:
    with pytest.raises(TryAgainError) as raised:
        server(httpx.Response(500)).ask("GET", "studies/1.2.3?PatientID=4711")
    assert str(raised.value) == "The archive answered 500."
