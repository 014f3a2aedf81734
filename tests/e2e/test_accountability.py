"""A day of answers and feedback, then what an auditor asks: all of it, by the commands.

1,000 predictions by the version that ships, each on record before it left, and 50 diagnoses that
were confirmed.
"""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_inference.audit.signing import make_key
from lentigo_inference.cli import main
from lentigo_inference.security.api_keys import Scope, add_key
from lentigo_inference.security.api_keys import make_key as make_api_key
from lentigo_trainer.data.extra.duplicates import ExactIndex
from lentigo_trainer.data.extra.imported_set import open_set
from lentigo_trainer.data.extra.importing import import_images
from lentigo_trainer.data.extra.licenses import parse_license
from lentigo_trainer.data.extra.set_tables import ImportOptions
from lentigo_trainer.system.progress import LineProgress
from tests.e2e.service_process import service_process
from tests.fakes import jpeg_bytes, lesion_image
from tests.project.test_monitoring import PROMETHEUS_LABELS, PROMETHEUS_METRICS, queries

SHIPPED: Final = Path(__file__).parents[2] / "models"
ANSWERS: Final = 1000
FEEDBACK: Final = 50
CLIENTS: Final = 8
# Each confirmed answer is about another one, since feedback counts once for an image.
PICTURES: Final = 53
CONFIRMED_BY: Final = ("histopathology", "follow-up", "consensus", "confocal")


@dataclass(frozen=True)
class Day:
    """What was asked of a service that has stopped since, and what it said.

    Attributes:
        folder: of the audit trail.
        key: public key of the trail.
        answers: of the predictions.
        feedback: what was sent, and `prediction`, the id of the answer.
        monitoring: answer of `/v1/monitoring` at the end.
        metrics: labels of every series at the end, by its name.
    """

    folder: Path
    key: Path
    answers: list[dict[str, Any]]
    feedback: list[dict[str, str]]
    monitoring: dict[str, Any]
    metrics: dict[str, list[dict[str, str]]]

    def lines(self) -> list[bytes]:
        """The lines of the trail, which fits into one file."""
        return self.file.read_bytes().splitlines(keepends=True)

    @property
    def file(self) -> Path:
        """The only file of the trail."""
        (file,) = (self.folder / "1").glob("*.jsonl")
        return file


def drawn_pictures() -> list[bytes]:
    """The same JPEGs every time."""
    drawn = (lesion_image(place, CODES[place % len(CODES)]) for place in range(PICTURES))
    return [jpeg_bytes(each) for each in drawn]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    root = tmp_path_factory.mktemp("day")
    folder, key = root / "audit", root / "audit.key"
    folder.mkdir()
    make_key(key)
    settings = {
        "LENTIGO_AUDIT_DIR": str(folder),
        "LENTIGO_AUDIT_KEY": str(key),
        "LENTIGO_AUDIT": "required",
        "LENTIGO_ENGINE": "litert",
        "LENTIGO_KEY_FILE": str(root / "keys.json"),
    }
    entry, api_key = make_api_key("ward-7", frozenset(Scope))
    add_key(root / "keys.json", entry)
    pictures = drawn_pictures()
    with service_process(SHIPPED, **settings) as service:
        service.logged("model in use")
        service.client.headers["Authorization"] = f"Bearer {api_key}"

        def ask(picture: bytes) -> dict[str, Any]:
            # Drawn lesions may be unlike the real ones.
            response = service.client.post(
                "/v1/predictions", params={"force": True}, files={"image": picture}
            )
            assert response.status_code == 200, response.text
            answer: dict[str, Any] = response.json()
            return answer

        def confirm(sent: dict[str, str]) -> None:
            given = {name: sent[name] for name in ("diagnosis", "confirmed_by")}
            path = f"/v1/predictions/{sent['prediction']}/feedback"
            response = service.client.post(path, json=given)
            assert response.status_code == 200, response.text

        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(ask, islice(cycle(pictures), ANSWERS)))
            feedback = [
                {
                    "prediction": answer["id"],
                    "diagnosis": CODES[place % len(CODES)],
                    "confirmed_by": CONFIRMED_BY[place % len(CONFIRMED_BY)],
                }
                for place, answer in enumerate(answers[:: ANSWERS // FEEDBACK])
            ]
            list(pool.map(confirm, feedback))
        monitoring = service.client.get("/v1/monitoring").json()
        metrics: dict[str, list[dict[str, str]]] = {}
        for family in text_string_to_metric_families(service.client.get("/metrics").text):
            for sample in family.samples:
                metrics.setdefault(sample.name, []).append(sample.labels)
        assert service.stop() == 0
    return Day(folder, Path(f"{key}.pub"), answers, feedback, monitoring, metrics)


Audit = Callable[..., tuple[int, str]]


@pytest.fixture
def audit(day: Day, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Run a command on the trail, or on another; gives the exit code and the output."""

    def run(command: str, *arguments: str, folder: Path | None = None) -> tuple[int, str]:
        code = main(["audit", command, "--dir", str(folder or day.folder), *arguments])
        return code, capsys.readouterr().out

    return run


def test_every_record_is_verified(day: Day, audit: Audit) -> None:
    code, out = audit("verify", "--key", str(day.key))
    assert code == 0
    assert "series 1: sound" in out
    kinds = [json.loads(line)["kind"] for line in day.lines()]
    assert (kinds.count("answer"), kinds.count("feedback")) == (ANSWERS, FEEDBACK)


def test_it_is_shown_what_was_said_to_whom_and_why(day: Day, audit: Audit) -> None:
    (sent, answer) = (day.feedback[7], day.answers[7 * ANSWERS // FEEDBACK])
    code, out = audit("show", answer["id"])
    assert code == 0
    said = {line[:14].strip(): line[14:] for line in out.splitlines()}
    assert said["Answer"].startswith(answer["id"])
    assert said["To"] == "key ward-7, address 127.0.0.1"
    assert said["Image"] == f"SHA-256 {answer['image']['sha256']}"
    assert said["Said"] == f"{answer['diagnosis']['code']} ({answer['diagnosis']['name']})"
    assert said["Refer"] == ("yes" if answer["malignancy"]["refer"] else "no")
    assert said["Why"].startswith(f"malignancy {answer['malignancy']['probability']:.4f}")
    assert said["By"] == f"lentigo {answer['model']['version']}, litert"
    assert said["Feedback"].startswith(f"{sent['diagnosis']}, by {sent['confirmed_by']}, at ")
    assert out.endswith(f"{RESEARCH_NOTICE}\n")


def test_both_tables_have_every_answer(day: Day, audit: Audit) -> None:
    code, out = audit("export")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(out))}
    assert (code, len(rows)) == (0, ANSWERS)
    for answer in day.answers:
        assert rows[answer["id"]]["diagnosis"] == answer["diagnosis"]["code"]
    code, out = audit("export", "--format", "isic")
    images = {row["image"]: row for row in csv.DictReader(io.StringIO(out))}
    digests = {answer["id"]: answer["image"]["sha256"] for answer in day.answers}
    assert code == 0
    assert images.keys() == {digests[sent["prediction"]] for sent in day.feedback}


def test_the_trainer_joins_what_was_confirmed_with_the_images(
    day: Day, audit: Audit, tmp_path: Path
) -> None:
    """By their bytes, whatever the hospital calls its files."""
    images, table = tmp_path / "images", tmp_path / "confirmed.csv"
    images.mkdir()
    for place, picture in enumerate(drawn_pictures()):
        (images / f"visit-{place}.jpg").write_bytes(picture)
    table.write_text(audit("export", "--format", "isic")[1])
    options = ImportOptions("clinic", (images,), (table,), parse_license("CC0"), 1, 0.3)
    summary = import_images(
        options, tmp_path / "set", ExactIndex(), (), LineProgress(lambda _: None)
    ).summary
    assert summary.images == FEEDBACK
    assert sum(summary.classes.values()) == FEEDBACK
    records = open_set(tmp_path / "set").records
    confirmed = {sent["prediction"]: sent["diagnosis"] for sent in day.feedback}
    digests = {answer["id"]: answer["image"]["sha256"] for answer in day.answers}
    assert dict(zip(records["image_id"], records["dx"], strict=True)) == {
        digests[answer]: diagnosis for answer, diagnosis in confirmed.items()
    }


def test_fhir_has_a_bundle_for_every_answer_and_feedback(day: Day, audit: Audit) -> None:
    code, out = audit("export", "--format", "fhir")
    bundles = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(bundles) >= ANSWERS + FEEDBACK
    assert all(
        (each["resourceType"], each["type"]) == ("Bundle", "transaction") for each in bundles
    )
    for answer in day.answers[::100]:
        assert sum(answer["id"] in line for line in out.splitlines()) >= 1


def test_what_was_confirmed_is_compared_with_what_was_said(day: Day) -> None:
    counted = sum(day.monitoring["confirmed"]["confirmed_by"].values())
    assert counted == FEEDBACK


@pytest.mark.parametrize("query", [each for each in queries() if "lentigo_shadow_" not in each])
def test_every_query_of_dashboard_and_alerts_finds_a_series(day: Day, query: str) -> None:
    """With the labels that it asks for; `tests/project` holds their values."""
    grouped = re.findall(r"\bby\s*\(([^)]*)\)", query)
    by = {label.strip() for labels in grouped for label in labels.split(",")}
    for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", query):
        if name not in PROMETHEUS_METRICS:
            labels = set(re.findall(r"(\w+)\s*=~?", matchers)) | by
            assert any(labels - PROMETHEUS_LABELS <= each.keys() for each in day.metrics[name])


def edit(lines: list[bytes]) -> None:
    """Say another diagnosis in one record."""
    record = json.loads(lines[499])
    said, other = record["diagnosis"], "nv" if record["diagnosis"] != "nv" else "mel"
    lines[499] = lines[499].replace(
        f'"diagnosis":"{said}"'.encode(), f'"diagnosis":"{other}"'.encode(), 1
    )


def remove(lines: list[bytes]) -> None:
    """Take one record out."""
    del lines[499]


def swap(lines: list[bytes]) -> None:
    """Exchange two records."""
    lines[499], lines[599] = lines[599], lines[499]


def insert(lines: list[bytes]) -> None:
    """Put a record in for a second time."""
    lines.insert(600, lines[499])


def truncate(lines: list[bytes]) -> None:
    """Cut the end off."""
    del lines[700:]


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (edit, "edited: series 1: record 500 was edited"),
        (remove, "removed: series 1: record 500 was removed"),
        (swap, "swapped: series 1: records 500 and 600 were swapped"),
        (insert, "inserted: series 1: "),
        (truncate, "truncated: series 1: "),
    ],
)
def test_tampering_is_named(
    day: Day,
    audit: Audit,
    tmp_path: Path,
    tamper: Callable[[list[bytes]], None],
    named: str,
) -> None:
    copy = tmp_path / "audit"
    shutil.copytree(day.folder, copy)
    lines = day.lines()
    tamper(lines)
    (copy / "1" / day.file.name).write_bytes(b"".join(lines))
    code, out = audit("verify", "--key", str(day.key), folder=copy)
    assert code == 3
    assert out.startswith(named), out
    assert "series 1: TAMPERED" in out
