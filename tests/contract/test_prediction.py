"""Reading answers of `POST /v1/predictions`, as the gateway and FHIR do."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from lentigo_contract.errors import PredictionDocumentError
from lentigo_contract.labels import CODES
from lentigo_contract.prediction import read_prediction
from tests.predictions import SHARES, answer_document, refusal_document

Change = Callable[[dict[str, Any]], object]


def test_an_answer_has_its_probabilities_in_label_order() -> None:
    found = read_prediction(answer_document())
    assert list(found.by_code) == list(CODES)
    assert found.by_code == SHARES
    assert found.diagnosis is not None
    assert found.diagnosis.code == "mel"


def test_an_answer_without_a_diagnosis_is_one_too() -> None:
    found = read_prediction(refusal_document("too-dark", "too-small"))
    assert found.diagnosis is None
    assert found.by_code == {}
    assert found.malignancy.refer
    assert found.quality.reasons == ["too-dark", "too-small"]


def test_members_that_are_new_are_ignored() -> None:
    assert read_prediction(answer_document(surprise={"more": 1})).id


def test_a_service_that_gives_no_digest_is_read() -> None:
    document = answer_document()
    del document["model"]["digest"]
    assert read_prediction(document).model.digest is None


BAD: dict[str, tuple[Change, str]] = {
    "no id": (lambda it: it.pop("id"), "id"),
    "no model": (lambda it: it.pop("model"), "model"),
    "no malignancy": (lambda it: it.pop("malignancy"), "malignancy"),
    "no threshold": (lambda it: it["malignancy"].pop("threshold"), "malignancy.threshold"),
    "NaN": (
        lambda it: it["probabilities"][0].update(probability=math.nan),
        "probabilities.0.probability",
    ),
    "infinite": (lambda it: it["malignancy"].update(probability=math.inf), "malignancy"),
    "beyond 1": (lambda it: it["probabilities"][0].update(probability=1.1), "probabilities.0"),
    "negative": (lambda it: it["malignancy"].update(threshold=-0.1), "malignancy.threshold"),
    "text": (lambda it: it["malignancy"].update(probability="0.5"), "malignancy.probability"),
    "unknown": (lambda it: it["diagnosis"].update(code="wart"), "diagnosis"),
    "six": (lambda it: it["probabilities"].pop(), "seven"),
    "one twice": (
        lambda it: it["probabilities"].__setitem__(0, it["probabilities"][1]),
        "seven",
    ),
    "half withheld": (lambda it: it.update(diagnosis=None), "together or not"),
    "hostile id": (lambda it: it.update(id="../../etc\x00"), "id"),
    "hostile reason": (
        lambda it: it["quality"].update(reasons=["<script>"]),
        "quality.reasons.0",
    ),
    "no digest": (lambda it: it["model"].update(digest="short"), "model.digest"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_answer_is_refused_by_the_name_of_its_member(name: str) -> None:
    change, told = BAD[name]
    document = answer_document()
    change(document)
    with pytest.raises(PredictionDocumentError) as caught:
        read_prediction(document)
    assert told in str(caught.value)
    assert "script" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("document", [None, [], "answer", 7, {}, {"id": {}}])
def test_other_json_is_refused(document: object) -> None:
    with pytest.raises(PredictionDocumentError, match="POST /v1/predictions"):
        read_prediction(document)


def test_a_problem_document_is_no_answer() -> None:
    problem = json.loads('{"type": "about:blank", "title": "Not Found", "status": 404}')
    with pytest.raises(PredictionDocumentError):
        read_prediction(problem)
