import pytest

from lentigo_trainer.data.dataset import Prepared
from tests.trainer.made_up_runs import prepared_images


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A synthetic HAM10000, decoded."""
    return prepared_images(tmp_path_factory.mktemp("data"))
