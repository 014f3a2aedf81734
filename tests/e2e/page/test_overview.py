"""Several images: a table that is sorted, opened by row, saved and printed."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.page.hands import HEIC, button, choose, file, lesion, open_image, see_problem
from tests.e2e.service_process import ServiceProcess
from tests.fakes import jpeg_bytes, lesion_image

CODES = ("mel", "nv", "bcc", "vasc")
PROBABILITY = re.compile(r"([\d.]+)%")


def answer_of(service: ServiceProcess, data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = service.client.post("/v1/predictions", content=data).json()
    return answer


@pytest.fixture
def table(page: Page) -> Page:
    """The overview of four lesions and a file that cannot be read."""
    choose(page, *(lesion(code) for code in CODES), file("photo.heic", HEIC))
    button(page, "Predict all").click()
    expect(page.locator("#overview-title")).to_be_focused()
    expect(page.locator("tbody tr.done")).to_have_count(4)
    return page


def names(page: Page) -> list[str]:
    return page.locator("tbody .name").all_inner_texts()


def saved(page: Page, name: str) -> str:
    with page.expect_download() as download:
        button(page, name).click()
    assert re.fullmatch(r"lentigo-results?-[\dT-]+\.(csv|json)", download.value.suggested_filename)
    return Path(download.value.path()).read_bytes().decode()


def test_each_row_has_the_result_of_its_image(table: Page, service: ServiceProcess) -> None:
    for row, code in zip(table.locator("tbody tr").all(), CODES, strict=False):
        truth = answer_of(service, lesion(code)["buffer"])
        expect(row.locator(".name")).to_have_text(lesion(code)["name"])
        expect(row.locator(".diagnosis")).to_contain_text(truth["diagnosis"]["name"])
        probable = truth.get("most_probable", truth["diagnosis"])
        expect(row.locator(".probable")).to_contain_text(probable["name"])
        refer = "Refer" if truth["malignancy"]["refer"] else "Below threshold"
        expect(row.locator(".refer")).to_contain_text(refer)
        expect(row.locator(".malignancy")).to_have_text(re.compile(r"\d%$"))
        expect(row.locator(".quality")).to_have_text("Accepted")
        expect(row.locator("img")).to_have_js_property("naturalHeight", 112)
    last = table.locator("tbody tr").last
    expect(last.locator(".state")).to_have_text("HEIC images cannot be read")
    expect(last.locator(".diagnosis")).to_have_text("")
    expect(table.locator("#overview-counts")).to_contain_text("4 of 5 images predicted")
    expect(table.locator("#overview-counts")).to_contain_text("1 cannot be predicted")
    expect(table.locator("#overview .notice")).to_have_text(
        "Research use only. Not a medical device."
    )


def test_each_column_sorts_both_ways_and_says_so(table: Page) -> None:
    heading = table.locator("th", has_text="Probability malignant")
    sort = heading.get_by_role("button")
    sort.click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    shown = table.locator("td.malignancy").all_inner_texts()
    values = [float(PROBABILITY.findall(text)[-1]) for text in shown if text]
    assert values == sorted(values, reverse=True)
    # What has no answer is at the end, whichever way.
    assert names(table)[-1] == "photo.heic"
    expect(sort).to_be_focused()
    table.keyboard.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert names(table)[-1] == "photo.heic"
    shown = table.locator("td.malignancy").all_inner_texts()
    values = [float(PROBABILITY.findall(text)[-1]) for text in shown if text]
    assert values == sorted(values)
    for column in ("Image", "Refer", "Diagnosis", "Most probable", "Image quality", "State"):
        heading = table.locator(
            "thead th", has=table.get_by_role("button", name=column, exact=True)
        )
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", re.compile("ascending"))
        expect(table.locator("thead [aria-sort]")).to_have_count(1)
    assert names(table)[0] == "photo.heic"


def test_a_row_opens_its_result_by_mouse_and_by_keyboard(
    table: Page, service: ServiceProcess
) -> None:
    table.get_by_role("button", name="Probability malignant").click()
    order = names(table)
    table.locator(".open-result").first.focus()
    table.keyboard.press("ArrowDown")
    table.keyboard.press("Enter")
    expect(table.locator("figcaption .name")).to_have_text(order[1])
    expect(table.locator(".result h2")).to_be_focused()
    button(table, "Overview 5").click()
    open_image(table, 2)
    expect(table.locator("figcaption .name")).to_have_text(order[2])
    code = order[2].split("-")[1]
    truth = answer_of(service, lesion(code)["buffer"])
    expect(table.locator(".result h2")).to_have_text(truth["diagnosis"]["name"])
    button(table, "Overview 5").click()
    open_image(table, 4)
    see_problem(table, "HEIC images cannot be read")


def test_the_table_is_saved_as_csv_without_names(table: Page, service: ServiceProcess) -> None:
    text = saved(table, "Save table as CSV")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    (model,) = service.client.get("/v1/models").json()["models"]
    assert len(rows) == 5
    for row, code in zip(rows, CODES, strict=False):
        truth = answer_of(service, lesion(code)["buffer"])
        assert row["diagnosis"] == truth["diagnosis"]["code"]
        assert float(row["malignancy_probability"]) == truth["malignancy"]["probability"]
        assert row["image_sha256"] == truth["image"]["sha256"]
        assert (row["model_version"], row["model_digest"]) == (model["version"], model["digest"])
        assert sum(float(row[f"p_{each['code']}"]) for each in model["labels"]) == pytest.approx(1)
        assert row["notice"] == "Research use only. Not a medical device."
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", row["answered"])
    assert (rows[4]["state"], rows[4]["problem"]) == ("failed", "heic")
    assert "file" not in rows[0]
    assert "lesion-" not in text


def test_names_are_saved_only_when_asked_for_and_never_as_a_formula(page: Page) -> None:
    image = {**lesion(), "name": '=HYPERLINK("x"),y.jpg'}
    choose(page, image, lesion("nv"))  # type: ignore[arg-type]
    button(page, "Overview 2").click()
    page.get_by_label("Include file names").check()
    text = saved(page, "Save table as CSV")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["file"] for row in rows] == [f"'{image['name']}", lesion("nv")["name"]]
    written = json.loads(saved(page, "Save all as JSON"))
    assert [result["file"] for result in written["results"]] == [
        image["name"],
        lesion("nv")["name"],
    ]


def test_all_results_are_saved_as_json(table: Page, service: ServiceProcess) -> None:
    written = json.loads(saved(table, "Save all as JSON"))
    assert written["notice"] == "Research use only. Not a medical device."
    assert len(written["results"]) == 5
    for result, code in zip(written["results"], CODES, strict=False):
        truth = answer_of(service, lesion(code)["buffer"])
        for member in ("model", "image", "diagnosis", "malignancy", "notice"):
            assert result["answer"][member] == truth[member]
        assert "activation_maps" not in result["answer"]
    assert written["results"][4]["problem"]["kind"] == "heic"
    assert "lesion-" not in json.dumps(written)


def test_the_table_is_printed_without_names(table: Page) -> None:
    table.emulate_media(media="print")
    expect(table.locator("#overview .notice")).to_be_visible()
    expect(table.locator("tbody .diagnosis").first).to_be_visible()
    for left_out in (".name", "#intake", "#overview .actions", "#views"):
        expect(table.locator(left_out).first).to_be_hidden()
    assert len(re.findall(rb"/Type\s*/Page\b", table.pdf(format="A4", landscape=True))) == 1


def test_fifty_images_at_once_reach_their_rows(page: Page) -> None:
    # Each has a size of its own, so that no two answers are of the same image.
    images = [
        file(f"{place}.jpg", jpeg_bytes(lesion_image(place, "nv", (300 + place, 225))))
        for place in range(46)
    ]
    images[7:7] = [file("note.jpg", b"not an image at all"), file("empty.png", b"")]
    images[30:30] = [file("photo.heic", HEIC), file("film.mp4", b"\0\0\0\x18ftypisom" + bytes(50))]
    choose(page, *images)
    expect(page.locator(".item.failed")).to_have_count(4)
    button(page, "Predict all").click()
    expect(page.locator("tbody tr.done")).to_have_count(46)
    written = json.loads(saved(page, "Save all as JSON"))["results"]
    assert len(written) == 50
    for result, image in zip(written, images, strict=True):
        if result["state"] == "failed":
            assert image["name"] in {"note.jpg", "empty.png", "photo.heic", "film.mp4"}
        else:
            assert result["answer"]["image"]["width"] == 300 + int(image["name"].split(".")[0])
    # No row and no small picture holds the photograph itself.
    expect(page.locator("tbody img")).to_have_count(46)
    sources = page.locator("tbody img").evaluate_all(
        "images => images.map((image) => [image.naturalWidth, image.naturalHeight])"
    )
    assert max(max(sides) for sides in sources) <= 448
