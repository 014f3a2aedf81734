from datetime import date

import httpx
import pytest

from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.config import QueryConfig
from lentigo_gateway.errors import TryAgainError
from lentigo_gateway.rules import Rule
from lentigo_gateway.sources.queries import Queries
from tests.gateway.bench import Bench
from tests.gateway.dicom import dermoscopic


def queries(bench: Bench, *rules: Rule) -> Queries:
    archive = DicomWeb(bench.archive.http("archive"))
    chosen = rules or (Rule(sop_class=("dermoscopic",)),)
    config = QueryConfig(days=2)
    today = date(2026, 11, 30)
    return Queries(archive, bench.worklist, chosen, config, bench.log, lambda: today)


def test_recent_instances_get_on_the_list_once(bench: Bench) -> None:
    source = queries(bench)
    bench.archive.put(dermoscopic(1))
    assert source.look() is False
    source.look()
    bench.archive.put(dermoscopic(2))
    source.look()
    assert bench.states() == {"waiting": 2}


def test_the_query_names_class_and_dates_only(bench: Bench) -> None:
    queries(bench).look()
    (asked,) = bench.archive.asked
    assert asked.url.params["SOPClassUID"].endswith("77.1.7")
    assert asked.url.params["StudyDate"] == "20261129-20261201"
    assert "Patient" not in str(asked.url)


def test_only_classes_that_a_rule_may_take_are_asked_for(bench: Bench) -> None:
    queries(bench, Rule(sop_class=("photograph",)), Rule(take=False)).look()
    assert len(bench.archive.asked) == 1
    queries(bench, Rule(modality=("DMS",))).look()
    assert len(bench.archive.asked) == 1 + 4


def test_long_results_are_read_page_by_page(bench: Bench) -> None:
    for number in range(450):
        bench.archive.put(dermoscopic(number))
    queries(bench).look()
    assert bench.states() == {"waiting": 450}
    assert len(bench.archive.asked) == 3


def test_an_archive_without_pages_does_not_hold_us_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lentigo_gateway.sources.queries._MAX_PAGES", 3)
    bench.archive.put(dermoscopic(1))
    page = bench.archive.answer(
        httpx.Request(
            "GET",
            "http://x/base/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.77.1.7&offset=0&limit=9",
        )
    ).json()
    bench.archive.down = httpx.Response(200, json=page * 200)
    queries(bench).look()
    assert bench.states() == {"waiting": 1}
    assert bench.events("query has no end")


def test_what_a_rule_does_not_take_is_left(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1, StationName="DERM9"))
    queries(bench, Rule(station=("DERM1",))).look()
    assert bench.states() == {}


def test_a_rule_takes_by_attributes_that_have_to_be_asked_for(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1, StationName="DERM1"))
    bench.archive.put(dermoscopic(2, StationName="DERM9"))
    queries(bench, Rule(station=("DERM1",), description=("skin*",), body_site=("SKIN",))).look()
    assert bench.states() == {"waiting": 1}
    # Each in a parameter of its own: Orthanc overlooks a list whose commas are encoded.
    fields = bench.archive.asked[0].url.params.get_list("includefield")
    assert len(fields) > 3
    assert not any("," in field for field in fields)


def test_a_finished_instance_is_not_worked_on_at_every_look(bench: Bench) -> None:
    source = queries(bench)
    bench.archive.put(dermoscopic(1))
    source.look()
    bench.finish_due()
    source.look()
    assert bench.states() == {"done": 1}
    assert len(bench.service.images) == 1


def test_nothing_found_is_an_empty_answer(bench: Bench) -> None:
    bench.archive.down = httpx.Response(204)
    assert queries(bench).look() is False


@pytest.mark.parametrize("body", [b'{"a": 1}', b"[1]", b"no json"])
def test_an_answer_that_is_no_list_is_tried_again(bench: Bench, body: bytes) -> None:
    bench.archive.faults = [httpx.Response(200, content=body)]
    with pytest.raises(TryAgainError):
        queries(bench).look()
