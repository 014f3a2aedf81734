import json
import socket
import subprocess
import sys

import pytest

from lentigo_inference.cli import main
from lentigo_inference.server.serve import ListenError, address_of, listen
from lentigo_inference.settings import Settings, environment_name


def test_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(environment_name(field) in text for field in Settings.model_fields)
    assert "LENTIGO_PORT [8000]" in text


def test_help_does_not_load_the_service() -> None:
    code = (
        "import sys; from lentigo_inference.cli import main; main(['--help']); "
        "sys.exit(str([name for name in ('fastapi', 'tensorflow') if name in sys.modules] or ''))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.strip() == ""


@pytest.mark.parametrize("arguments", [["nonsense"], ["keys"], ["keys", "add", "a"], ["seed"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert main(arguments) == 2


def test_bad_settings_are_one_line_that_names_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LENTIGO_PORT", "many")
    monkeypatch.setenv("LENTIGO_MAX_PENDING", "0")
    assert main([]) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert "LENTIGO_PORT" in message
    assert "LENTIGO_MAX_PENDING" in message


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"AUDIT_DIR": "audit"}, "LENTIGO_AUDIT_DIR and LENTIGO_AUDIT_KEY go together"),
        ({"OIDC_ISSUER": "https://a"}, "LENTIGO_OIDC_ISSUER and LENTIGO_OIDC_AUDIENCE go together"),
        ({"SHADOW_VERSION": "2", "MODEL_VERSION": "2"}, "LENTIGO_MODEL_VERSION and LENTIGO_SHADOW"),
        (
            {"DECODE_THREADS": "9", "DECODE_MEMORY": str(128 * 2**20)},
            "9 decode threads need a LENTIGO_DECODE_MEMORY",
        ),
        (
            {"MAX_BATCH_BYTES": str(2**30)},
            "LENTIGO_UPLOAD_MEMORY has to be 1,074,790,400 bytes or more",
        ),
        ({"ALLOWED_HOSTS": "a:80"}, "LENTIGO_ALLOWED_HOSTS: a host is like lentigo.example"),
        ({"PORT": "many"}, "LENTIGO_PORT: Input should be a valid integer"),
    ],
)
def test_what_is_wrong_with_settings_begins_with_their_names(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, str],
    told: str,
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"LENTIGO_{name}", value)
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lentigo-inference: {told}")


def test_a_port_in_use_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("LENTIGO_PORT", str(port))
        assert main([]) == 1
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert f"127.0.0.1 port {port}" in message


def test_too_little_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lentigo_contract.system.resources.memory_limit", lambda _root: 64 * 2**20)
    monkeypatch.setenv("LENTIGO_PORT", "0")
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "this container may use 64" in line


def test_an_unknown_host_is_named_in_the_error() -> None:
    with pytest.raises(ListenError, match=r"host\.invalid port 8000"):
        listen("host.invalid", 8000)


def test_the_address_of_a_listening_socket_is_a_url() -> None:
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert address_of(listener) == f"http://{host}:{port}"
        with socket.create_connection((host, port), timeout=30):
            pass


LOGGING = """
import logging, structlog
from lentigo_inference.observability.logging import configure_logs
from lentigo_inference.settings import Settings
configure_logs(Settings(log_format="{form}"))
log = structlog.stdlib.get_logger("a.module")
def fail(image):
    raise ValueError("no")
try:
    fail("pixels" * 3)
except ValueError:
    log.exception("failed", version=1)
logging.getLogger("a.library").warning("beware")
log.debug("not shown")
class Long(Exception):
    pass
try:
    raise Long("e" * 100_000)
except Long:
    log.exception("long", path="p" * 100_000, parts=["q" * 50_000] * 3)
logging.getLogger("a.library").error("r" * 100_000)
"""


def logged(form: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", LOGGING.format(form=form)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout == ""
    return run.stderr


def test_the_json_log_has_one_object_per_line_for_ours_and_for_libraries() -> None:
    ours, library, *_long = (json.loads(line) for line in logged("json").splitlines())
    assert (ours["event"], ours["version"], ours["level"]) == ("failed", 1, "error")
    assert "ValueError" in ours["exception"]
    assert (library["event"], library["logger"]) == ("beware", "a.library")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values(form: str) -> None:
    text = logged(form)
    assert "ValueError" in text
    assert "pixelspixels" not in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_line_of_the_log_grows_with_what_is_logged(form: str) -> None:
    text = logged(form)
    assert max(map(len, text.splitlines())) < 20_000
    assert len(text) < 40_000
    assert "Long" in text


QUOTING = """
from starlette.datastructures import Headers
from lentigo_inference.observability.logging import configure_logs
from lentigo_inference.observability.tracing import parent_of, trace_id_of
from lentigo_inference.settings import Settings
configure_logs(Settings())
for state in ("Jane Doe", "a=b,a=b", "a=" + "x" * 300, "," * 9_000):
    parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert trace_id_of(parent_of(Headers(dict([parent, ("tracestate", state)]))))
"""


def test_the_log_quotes_no_trace_state() -> None:
    """A client may send anything in that header, also without a key."""
    run = subprocess.run(
        [sys.executable, "-c", QUOTING], check=True, capture_output=True, text=True
    )
    assert len(run.stderr.splitlines()) <= 1
    assert "Jane" not in run.stderr


WARNING = """
from PIL import TiffImagePlugin
from lentigo_contract.imaging.read import read_image
from lentigo_inference.observability.logging import configure_logs
from lentigo_inference.settings import Settings
from tests.images import tiff_file
configure_logs(Settings())
for count in range(2, 50):
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 266: (1,) * count, 273: 8, 277: 1, 279: 4096}
    assert read_image(tiff_file(tags, bytes(4096))).width == 64
print(len(getattr(TiffImagePlugin, "__warningregistry__", ())))
"""


def test_images_that_make_pillow_warn_leave_nothing_in_the_log_or_in_memory() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WARNING], check=True, capture_output=True, text=True
    )
    assert run.stderr == ""
    assert int(run.stdout) <= 1
