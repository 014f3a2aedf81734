import pytest
import tensorflow as tf

from lentigo_trainer.training.precision import in_bfloat16


def rewrites() -> bool:
    """Whether TensorFlow now rewrites what it compiles to bfloat16."""
    options = tf.config.optimizer.get_experimental_options()
    return bool(options.get("auto_mixed_precision_onednn_bfloat16"))


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_is_on_only_if_requested_and_supported(
    monkeypatch: pytest.MonkeyPatch, wanted: bool, has: bool
) -> None:
    monkeypatch.setattr("lentigo_trainer.training.precision.bfloat16_is_faster", lambda: has)
    with in_bfloat16(wanted):
        assert rewrites() is (wanted and has)
    assert not rewrites()


def test_bfloat16_is_off_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lentigo_trainer.training.precision.bfloat16_is_faster", lambda: True)
    with pytest.raises(ZeroDivisionError), in_bfloat16(wanted=True):
        raise ZeroDivisionError
    assert not rewrites()
