import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_trainer.compression.channel_groups import ChannelGroup, channel_groups, choose_channels
from lentigo_trainer.compression.cost import multiplications
from lentigo_trainer.compression.structured import (
    mask_channels,
    prune_channels,
    scale_scores,
    taylor_scores,
)
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.models.architecture import with_all_layers_trainable
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.graph import copied_network, steps_of
from lentigo_trainer.models.registry import architecture
from tests.trainer.compression.made_up import coloured_examples, noise
from tests.trainer.networks import small_inverted_residuals, small_mobilenet

GROUP = ChannelGroup("a", "a_bn", "b", "b_bn", "c", 32)


@pytest.fixture(scope="module")
def network() -> Network:
    return small_inverted_residuals(3)


def random_masks(groups: list[ChannelGroup], seed: int = 0) -> list[NDArray[np.bool_]]:
    draw = np.random.default_rng(seed)
    return choose_channels(groups, [draw.uniform(size=each.channels) for each in groups], 0.5)


def test_the_blocks_of_inverted_residuals_are_found_and_nothing_else(network: Network) -> None:
    groups = channel_groups(steps_of(network.whole))
    assert [each.producer for each in groups] == ["block_0_expand", "block_1_expand"]
    assert groups[1] == ChannelGroup(
        producer="block_1_expand",
        producer_norm="block_1_expand_bn",
        depthwise="block_1_depthwise",
        depthwise_norm="block_1_depthwise_bn",
        consumer="block_1_project",
        channels=32,
    )


@pytest.mark.parametrize(
    ("name", "groups", "channels"),
    # Blocks with an expansion: 15 of 16 and 16 of 17; 12 of 13 pointwise convolutions.
    [
        ("efficientnet_lite0", 15, 8_928),
        ("mobilenet_v2_torchvision", 16, 7_104),
        ("mobilenet_v2", 16, 7_104),
        ("mobilenet", 12, 4_928),
    ],
)
def test_the_channels_of_every_architecture_that_can_be_pruned(
    name: str, groups: int, channels: int
) -> None:
    built = build(with_all_layers_trainable(architecture(name), 0.2), "random", seed=0)
    found = channel_groups(steps_of(built.whole))
    assert len(found) == groups
    assert sum(each.channels for each in found) == channels


def test_the_smaller_network_computes_what_the_masked_large_one_does(network: Network) -> None:
    groups = channel_groups(steps_of(network.whole))
    masks = random_masks(groups)
    smaller = prune_channels(network.whole, groups, masks)
    masked = copied_network(network.whole)
    mask_channels(masked, groups, masks)
    images = noise(3).astype(np.float32)
    expected = masked(images, training=False)
    assert np.abs(expected - network.whole(images, training=False)).max() > 0.01
    np.testing.assert_allclose(smaller(images, training=False), expected, atol=1e-5)
    assert smaller.get_layer("block_1_depthwise").kernel.shape == (3, 3, 16, 1)
    assert smaller.count_params() < network.whole.count_params()
    assert multiplications(smaller) < multiplications(network.whole)


def test_a_chain_of_pointwise_convolutions_is_pruned_between_its_links() -> None:
    built = build(with_all_layers_trainable(architecture("mobilenet"), 0.2), "random", seed=0)
    draw = np.random.default_rng(0)
    for variable in built.whole.variables:
        if "moving_variance" in variable.path or "gamma" in variable.path:
            variable.assign(draw.uniform(0.5, 1.5, variable.shape))
    groups = channel_groups(steps_of(built.whole))
    masks = random_masks(groups)
    smaller = prune_channels(built.whole, groups, masks)
    masked = copied_network(built.whole)
    mask_channels(masked, groups, masks)
    images = noise(1).astype(np.float32)
    expected = np.asarray(masked(images, training=False))
    np.testing.assert_allclose(
        smaller(images, training=False), expected, atol=1e-4 * np.abs(expected).max()
    )
    assert smaller.get_layer("conv_pw_13").filters == 1_024


def test_the_original_shares_nothing_with_the_smaller_network(network: Network) -> None:
    before = [value.copy() for value in network.whole.get_weights()]
    groups = channel_groups(steps_of(network.whole))
    smaller = prune_channels(network.whole, groups, random_masks(groups))
    for variable in smaller.weights:
        variable.assign(np.full(variable.shape, 7.0))
    assert all(map(np.array_equal, before, network.whole.get_weights()))


def test_all_groups_share_one_ranking_and_keep_multiples_of_eight() -> None:
    weak, strong = np.linspace(0, 1, 32), np.linspace(2, 3, 32)
    masks = choose_channels([GROUP, GROUP], [weak, strong], 0.5)
    # The weaker group would lose all; it keeps the least that a group keeps.
    assert [int(mask.sum()) for mask in masks] == [8, 32]
    assert masks[0].tolist() == [False] * 24 + [True] * 8
    (mask,) = choose_channels([GROUP], [weak], 0.3)
    assert mask.sum() == 24


def test_a_group_of_eight_or_fewer_channels_stays_whole() -> None:
    small = ChannelGroup("a", "a_bn", "b", "b_bn", "c", 6)
    (mask,) = choose_channels([small], [np.arange(6.0)], 0.9)
    assert mask.all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(TrainingError, match="It must be above 0 and below"):
        choose_channels([GROUP], [np.arange(32.0)], share)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(TrainingError, match="did not diverge"):
        choose_channels([GROUP], [np.full(32, np.nan)], 0.5)


def test_a_network_of_unknown_structure_is_refused() -> None:
    image = keras.Input((32, 32, 3))
    plain = keras.Model(image, keras.layers.Conv2D(8, 1)(image))
    with pytest.raises(TrainingError, match="no channels that can be pruned"):
        channel_groups(steps_of(plain))


def test_a_layer_that_is_used_twice_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(3, 1)
    with pytest.raises(TrainingError, match="used in a way that cannot be rebuilt"):
        steps_of(keras.Model(image, layer(layer(image))))


def test_the_scale_score_is_the_size_of_gamma(network: Network) -> None:
    groups = channel_groups(steps_of(network.whole))
    gamma = np.asarray(network.whole.get_layer("block_0_depthwise_bn").gamma)
    np.testing.assert_allclose(scale_scores(network.whole, groups)[0], np.abs(gamma))


def test_the_taylor_score_of_a_channel_that_changes_nothing_is_zero() -> None:
    network = small_inverted_residuals(4, side=64)
    groups = channel_groups(steps_of(network.whole))
    kernel = network.whole.get_layer("block_1_project").kernel
    values = kernel.numpy().copy()
    values[:, :, :5] = 0
    kernel.assign(values)
    scores = taylor_scores(network.whole, groups, coloured_examples(1, side=64), seed=0)
    assert (scores[1][:5] == 0).all()
    assert (scores[1][5:] > 0).mean() > 0.3
    again = taylor_scores(network.whole, groups, coloured_examples(1, side=64), seed=0)
    assert all(map(np.array_equal, scores, again))


def test_the_taylor_score_is_near_what_the_loss_changes_without_the_channel() -> None:
    network = small_inverted_residuals(5, side=64)
    groups = channel_groups(steps_of(network.whole))
    examples = coloured_examples(2, side=64)
    scores = np.sqrt(taylor_scores(network.whole, groups, examples, seed=0)[1])
    images = examples.features.take(np.arange(28))
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kernel = network.whole.get_layer("block_1_project").kernel
    whole = kernel.numpy().copy()
    loss = tf.function(lambda: loss_of(examples.labels, network.whole(images, training=False)))
    before = float(loss())
    changes = []
    chosen = range(0, 32, 3)
    for channel in chosen:
        kernel.assign(whole * (np.arange(32) != channel)[:, None])
        changes.append(abs(float(loss()) - before))
    assert np.corrcoef(scores[list(chosen)], changes)[0, 1] > 0.6


def test_multiplications_are_counted_as_by_hand() -> None:
    # Stem 28x28x8x27, depthwise 14x14x8x9, pointwise 14x14x8x12, dense 12x16 and 16x7.
    expected = 28 * 28 * 8 * 27 + 14 * 14 * 8 * 9 + 14 * 14 * 8 * 12 + 12 * 16 + 16 * 7
    assert multiplications(small_mobilenet(1).whole) == expected
