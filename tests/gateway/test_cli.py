import time
from pathlib import Path

import pytest

from lentigo_gateway import __version__
from lentigo_gateway.cli import main
from lentigo_gateway.worklist.confirmations import Confirmed
from lentigo_gateway.worklist.entries import Found
from lentigo_gateway.worklist.store import WorkList
from tests.ports import free_port


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    nobody = free_port()
    path.write_text(
        f"""
        [service]
        url = "http://127.0.0.1:{nobody}"
        [archive]
        url = "http://127.0.0.1:{nobody}/dicom-web"
        [sources.query]
        [worklist]
        folder = "{tmp_path}/list"
        """
    )
    return path


@pytest.fixture
def parked(tmp_path: Path, config: Path) -> int:
    worklist = WorkList(tmp_path / "list", time.time)
    worklist.add([Found("1.2.3", "1.2", "1.1", "dicomweb"), Found("1.2.4", "1.2", "1.1", "x")])
    entry = worklist.claim()
    assert entry is not None
    worklist.finish(entry, "parked", "The archive refuses a result.")
    worklist.close()
    assert config.exists()
    return entry.id


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_status_counts_and_names_what_is_parked(
    config: Path, parked: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status", "--config", config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["parked\t1", "waiting\t1"]
    assert lines[2].startswith(f"{parked}\t")
    assert lines[2].endswith("The archive refuses a result.")


def test_show_tells_which_instance_an_entry_is(
    config: Path, parked: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", parked, "--config", config) == 0
    told = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert (told["instance"], told["state"], told["failures"]) == ("1.2.3", "parked", "0")


def test_retry_takes_numbers_or_all_that_is_parked(
    config: Path, parked: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("retry", parked, "--config", config) == 0
    assert capsys.readouterr().out == f"{parked}\twaiting\n"
    assert run("retry", "--parked", "--config", config) == 1
    assert "Nothing is parked" in capsys.readouterr().err
    assert run("retry", "--config", config) == 2


def test_an_entry_that_is_not_there_is_an_error(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", 99, "--config", config) == 1
    assert capsys.readouterr().err == "lentigo-gateway: The work list has no entry 99.\n"


def test_check_names_every_server_that_does_not_answer(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "--config", config) == 1
    assert capsys.readouterr().out.splitlines() == [
        "service\tThe inference service cannot be reached.",
        "archive\tThe archive cannot be reached.",
    ]


def test_a_wrong_configuration_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.toml").write_text("[service]\n")
    assert run("status", "--config", tmp_path / "wrong.toml") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_version_and_the_notice_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"lentigo-gateway {__version__}\n"
    run("--help")
    assert "Research use only" in capsys.readouterr().out


def test_confirmations_are_listed_and_tried_again(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worklist = WorkList(tmp_path / "list", time.time)
    listed = worklist.confirmations
    listed.add_read("Observation/7", "1", Confirmed("1.2.3", 0, "mel", "histopathology"))
    found = listed.claim()
    assert found is not None
    listed.finish(found.id, "parked", "The FHIR server refuses the transaction.")
    worklist.close()
    assert run("confirmations", "--config", config) == 0
    line = capsys.readouterr().out.split("\t")
    assert line[:4] == [str(found.id), "parked", "Observation/7", "mel"]
    assert line[5] == "The FHIR server refuses the transaction.\n"
    assert run("confirmations", found.id, "--config", config) == 0
    assert capsys.readouterr().out.startswith(f"{found.id}\tread\t")
    assert run("confirmations", found.id, "--config", config) == 1
    assert run("confirmations", 99, "--config", config) == 1
