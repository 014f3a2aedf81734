import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.errors import WeightsError
from lentigo_trainer.models import torch_checkpoint
from lentigo_trainer.models.torch_checkpoint import parse_tensors, read_tensors
from tests.trainer.models.checkpoints import checkpoint

DRAW = np.random.default_rng(0)
TENSORS: dict[str, NDArray[np.generic]] = {
    "convolution.weight": DRAW.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "normalisation.bias": DRAW.normal(size=5).astype(np.float32),
    "scalar": np.full((), 3, np.float32),
}


def test_tensors_are_read_with_their_values_whatever_their_order_in_the_file() -> None:
    read = parse_tensors(checkpoint(TENSORS), "made up")
    assert set(read) == set(TENSORS)
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(read[name], tensor)
        assert read[name].dtype == np.float32


def test_counters_are_left_out() -> None:
    data = checkpoint({**TENSORS, "num_batches_tracked": np.array(7)})
    assert set(parse_tensors(data, "made up")) == set(TENSORS)


def test_a_file_is_read_only_if_its_digest_is_the_published_one(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(checkpoint(TENSORS))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert set(read_tensors(file, digest)) == set(TENSORS)
    with pytest.raises(WeightsError, match="the published file has 0000"):
        read_tensors(file, "0" * 64)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read_tensors(tmp_path / "none.pth", "0" * 64)


def test_a_file_without_end_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_checkpoint, "MAX_BYTES", 1000)
    with pytest.raises(WeightsError, match="SHA-256"):
        read_tensors(Path("/dev/zero"), "0" * 64)


class Runs:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return print, ("it ran",)


def test_code_in_a_checkpoint_is_refused_and_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WeightsError, match=r"wants to run .*print"):
        parse_tensors(pickle.dumps(Runs(), 2), "made up")
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        checkpoint(TENSORS)[:-3],
        checkpoint(TENSORS, magic=1),
        checkpoint(TENSORS, protocol=1),
        checkpoint({"double": np.zeros(3)}),
        pickle.dumps([1, 2, 3]) * 5,
    ],
    ids=["empty", "text", "cut", "magic", "protocol", "doubles", "lists"],
)
def test_anything_else_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(WeightsError) as refused:
        parse_tensors(data, "made up")
    assert "\n" not in str(refused.value)
