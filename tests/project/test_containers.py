"""Images, compose files and what an operator may set, held to each other and to the code."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import lentigo_inference
from lentigo_inference.server.connections import connections_within
from lentigo_inference.settings import Settings, environment_name

ROOT = Path(__file__).parents[2]
DOCKERFILES = [
    ROOT / "services/inference/Dockerfile",
    ROOT / "services/trainer/Dockerfile",
    ROOT / "services/gateway/Dockerfile",
]
COMPOSE_FILES = [ROOT / "docker-compose.yml", ROOT / "docker-compose.keys.yml"]

# What the images and the compose files settle for a container, or under another name.
SETTLED = {"LENTIGO_MODEL_REPOSITORY", "LENTIGO_KEY_FILE", "LENTIGO_PUBLISHED_ADDRESS"}
# What Compose itself reads.
OF_COMPOSE = {"COMPOSE_FILE"}


def services(file: Path) -> dict[str, dict[str, Any]]:
    compose: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(file.read_text())
    return compose["services"]


def offered() -> dict[str, str]:
    """The variables of `.env.example`, with what stands there as their default."""
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def used() -> dict[str, str]:
    """The variables of the compose files, with the default that they fall back to."""
    text = "".join(file.read_text() for file in COMPOSE_FILES)
    return {
        name: default if how == ":-" else ""
        for name, how, default in re.findall(r"\$\{([A-Z_]+)(:-|:\?)([^}]*)\}", text)
    }


def test_the_example_offers_what_the_compose_files_read_and_no_more() -> None:
    assert set(offered()) - OF_COMPOSE == set(used())


@pytest.mark.parametrize("name", sorted(used()))
def test_the_example_tells_the_default(name: str) -> None:
    field = name.removeprefix("LENTIGO_").lower()
    told, default = offered()[name], used()[name]
    if default or field not in Settings.model_fields:
        # A folder for keys has no default; the example shows the one that the documents use.
        assert told == default or name == "LENTIGO_KEYS"
        return
    # Handed on empty, which counts as not set: the service's own default.
    own = Settings.model_fields[field]
    computed = own.default_factory is not None or own.default in (None, ())
    assert told.lower() == ("" if computed else str(own.default).lower())


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_reaches_the_container(field: str) -> None:
    name = environment_name(field)
    if name in {"LENTIGO_HOST", "LENTIGO_PORT"}:
        (port,) = services(COMPOSE_FILES[0])["inference"]["ports"]
        assert f"${{{name}:-" in port
    elif name not in SETTLED:
        handed_on = services(COMPOSE_FILES[0])["inference"]["environment"]
        assert handed_on[name] == f"${{{name}:-}}"


def test_the_service_learns_where_it_is_published() -> None:
    inference = services(COMPOSE_FILES[0])["inference"]
    assert inference["environment"]["LENTIGO_PUBLISHED_ADDRESS"] == "${LENTIGO_HOST:-127.0.0.1}"
    assert inference["ports"] == ["${LENTIGO_HOST:-127.0.0.1}:${LENTIGO_PORT:-8000}:8000"]


@pytest.mark.parametrize("file", COMPOSE_FILES, ids=lambda file: file.name)
def test_every_container_of_ours_is_locked_down(file: Path) -> None:
    for name, service in services(file).items():
        if "image" not in service:
            continue  # an addition to a service of the other file
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name


def test_docker_waits_longer_than_the_service_takes_to_stop() -> None:
    patience = offered()["LENTIGO_STOP_GRACE_PERIOD"]
    takes = sum(Settings.model_fields[name].default for name in ("drain_s", "shutdown_grace_s"))
    assert int(patience.removesuffix("s")) >= takes + 5


def test_the_container_may_open_as_many_connections_as_the_service_accepts() -> None:
    files = services(COMPOSE_FILES[0])["inference"]["ulimits"]["nofile"]
    wanted = Settings.model_fields["max_connections"].default
    assert connections_within(wanted, files["soft"]) == wanted
    assert files["hard"] == files["soft"]


def test_the_service_cannot_write_the_models() -> None:
    assert services(COMPOSE_FILES[0])["inference"]["volumes"] == ["models:/models:ro"]


@pytest.mark.parametrize(
    "file", [*DOCKERFILES, *COMPOSE_FILES], ids=lambda file: str(file.relative_to(ROOT))
)
def test_images_carry_the_version_of_the_code(file: Path) -> None:
    told = re.findall(
        r"(?:VERSION=|lentigo-(?:inference|trainer|gateway|orthanc):)(\d[\d.]*)", file.read_text()
    )
    assert told
    assert set(told) == {lentigo_inference.__version__}


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_images_are_built_from_pins_and_run_as_nobody_in_particular(file: Path) -> None:
    text = file.read_text()
    installs = re.findall(r"^.*pip --python \S+ install .*$", text, re.MULTILINE)
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert "USER 10001:10001" in text
    assert "://" not in text
    assert re.search(r'^ENTRYPOINT \["', text, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL ", text, re.MULTILINE)
