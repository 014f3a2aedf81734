import numpy as np

from lentigo_trainer.data.duplicates.local_features import features_of
from lentigo_trainer.data.duplicates.matching import matching_points
from tests.trainer.data.duplicates.textures import texture, turned


def test_a_turned_and_enlarged_image_matches_in_many_points() -> None:
    one = texture(1)
    assert matching_points(features_of(one), features_of(turned(one, 30))) > 50


def test_different_images_do_not_match() -> None:
    images = [features_of(texture(seed)) for seed in range(4)]
    pairs = [(a, b) for a in range(4) for b in range(a)]
    assert max(matching_points(images[a], images[b]) for a, b in pairs) < 10


def test_a_mirror_image_matches_only_mirrored_features() -> None:
    one = features_of(texture(1))
    other = features_of(np.ascontiguousarray(texture(1)[:, ::-1]))
    assert matching_points(one, other) < 10
    assert matching_points(one.mirrored(), other) > 50


def test_an_image_without_features_matches_nothing() -> None:
    plain = features_of(np.full((225, 300), 128, np.uint8))
    assert len(plain.points) == 0
    assert matching_points(plain, features_of(texture(1))) == 0
    assert matching_points(plain.mirrored(), plain) == 0
