from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from lentigo_contract.errors import VersionNotFoundError
from lentigo_contract.repository.store import ModelStore
from lentigo_trainer.errors import RemoteServiceError
from lentigo_trainer.evaluation.evaluate import EvaluationOptions, evaluate_service, open_version
from lentigo_trainer.evaluation.remote import RemoteService
from lentigo_trainer.system.connection import Connection
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.system.retrying import RetryPolicy
from tests.fakes import made_manifest
from tests.models import publish_plain
from tests.trainer.evaluation.sets import image_set


def test_a_version_is_named_by_its_folder_or_by_its_repository(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    publish_plain(store, seed=1)
    newest = publish_plain(store, seed=2)
    assert open_version(tmp_path / "lentigo" / "1").version == 1
    for repository in (tmp_path, tmp_path / "lentigo"):
        assert open_version(repository).path == newest.path


def test_a_folder_without_a_version_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(VersionNotFoundError, match="Give the folder of a version"):
        open_version(tmp_path)


@pytest.mark.parametrize("change", [{"version": "2"}, {"created": "2026-01-02T03:04:06Z"}])
def test_a_service_that_serves_another_version_is_refused(
    change: dict[str, str], tmp_path: Path
) -> None:
    stored = publish_plain(ModelStore(tmp_path), seed=1)
    assert made_manifest().created == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    served = {
        "name": "lentigo",
        "version": "1",
        "architecture": "mobilenet",
        "engine": "litert",
        "created": "2026-01-02T03:04:05Z",
        "threshold": 0.3,
    }
    answer = httpx.Response(200, json={"models": [served | change]})
    transport = httpx.MockTransport(lambda _request: answer)
    with httpx.Client(base_url="http://service.test", transport=transport) as client:
        service = RemoteService(Connection(client, RetryPolicy(attempts=1)))
        with pytest.raises(RemoteServiceError, match=r"--model holds lentigo 1"):
            evaluate_service(service, stored, image_set(), EvaluationOptions(1, SilentProgress()))
