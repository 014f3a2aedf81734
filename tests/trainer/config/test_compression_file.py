from pathlib import Path

import pytest

from lentigo_trainer.config.compression_file import (
    Channels,
    Compression,
    Int8,
    Width,
    read_compression,
)
from lentigo_trainer.config.recipe_file import default_recipe
from lentigo_trainer.errors import RecipeError

SHIPPED = Path(__file__).parents[3] / "recipes" / "compression.toml"


def read(folder: Path, text: str) -> Compression:
    file = folder / "c.toml"
    file.write_text(text)
    return read_compression(file)


def variant(*lines: str) -> str:
    return "\n".join(['name = "c"', "[variants.one]", *lines])


def test_the_shipped_file_compresses_the_default_recipe_in_every_way() -> None:
    found = read_compression(SHIPPED)
    assert found.recipe == default_recipe()
    shares = {each.share for each in found.variants.values() if isinstance(each, Channels)}
    assert shares == {0.25, 0.5, 0.65, 0.75}
    roundings = {each.rounding for each in found.variants.values() if isinstance(each, Int8)}
    assert roundings == {"plain", "gptq", "aware"}
    assert {each.method for each in found.variants.values()} == {
        "channels",
        "weights",
        "width",
        "int8",
    }


def test_fine_tuning_is_short_and_gentle_and_otherwise_as_in_the_recipe() -> None:
    found = read_compression(SHIPPED)
    settings, short = default_recipe().fine_tuning, found.recipe_of(found.variants["channels_50"])
    assert settings is not None
    assert short.fine_tuning is not None
    assert short.epochs == 4
    assert [short.fine_tuning.side_of(n) for n in range(1, 5)] == [128, 128, 128, 224]
    assert short.fine_tuning.backbone_learning_rate == 0.2 * settings.backbone_learning_rate
    assert short.fine_tuning.images_per_epoch == settings.images_per_epoch
    assert short.fine_tuning.augmentation == settings.augmentation
    gentle = found.recipe_of(found.variants["int8_aware"]).fine_tuning
    assert gentle is not None
    assert gentle.head_learning_rate == 0.02 * settings.head_learning_rate


def test_the_rivals_are_trained_by_the_whole_recipe() -> None:
    found = read_compression(SHIPPED)
    recipe = found.recipe_of(found.variants["mobilenet_050"])
    assert recipe.architecture == "mobilenet_050"
    assert recipe.model_copy(update={"architecture": "efficientnet_lite0"}) == found.recipe


def test_a_chosen_variant_brings_what_it_is_made_of() -> None:
    found = read_compression(SHIPPED)
    assert list(found.chosen(("channels_75_int8",))) == ["channels_75", "channels_75_int8"]
    assert found.chosen(()) == found.variants
    with pytest.raises(RecipeError, match="has no variant other; there are int8, "):
        found.chosen(("other",))


@pytest.mark.parametrize("share", ["0.0", "1.0", "1.5"])
@pytest.mark.parametrize("method", ["channels", "weights"])
def test_an_impossible_share_is_named(tmp_path: Path, method: str, share: str) -> None:
    with pytest.raises(RecipeError, match=rf"variants\.one\.{method}\.share: "):
        read(tmp_path, variant(f'method = "{method}"', f"share = {share}"))


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (['method = "magic"'], "expected tags"),
        (['method = "channels"', "share = 0.5", 'score = "luck"'], "'taylor' or 'scale'"),
        (['method = "channels"', "share = 0.5", "rate = 1"], "extra inputs"),
        (['method = "int8"', 'rounding = "plain"', 'of = "two"'], "which no variant before it"),
        (['method = "width"', 'architecture = "vast"'], "no architecture vast"),
    ],
)
def test_a_variant_that_cannot_be_made_is_named(
    tmp_path: Path, lines: list[str], fault: str
) -> None:
    with pytest.raises(RecipeError, match=fault):
        read(tmp_path, variant(*lines))


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        ('recipe = "paper"', "without folds"),
        ("fold = 6", "its recipe has 5 folds"),
        ('recipe = "nowhere.toml"', "cannot be read"),
    ],
)
def test_a_recipe_that_does_not_suit_is_refused(tmp_path: Path, head: str, fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        read(tmp_path, "\n".join([head, variant('method = "weights"', "share = 0.5")]))


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("epochs = 2\nstages = [{ side = 128, epochs = 3 }]", "stages have 3 epochs together"),
        ("epochs = 3\nstages = [{ side = 128, epochs = 3 }]", "smaller images"),
        ("learning_rate = 0.0", "learning_rate: "),
        ("warm_up_epochs = 9.0", "go beyond the run's end"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(tmp_path: Path, table: str, fault: str) -> None:
    text = f'name = "c"\n[fine_tuning]\n{table}\n[variants.one]\nmethod = "weights"\nshare = 0.5\n'
    with pytest.raises(RecipeError, match=fault):
        read(tmp_path, text)


def test_the_name_of_the_network_itself_is_taken(tmp_path: Path) -> None:
    text = 'name = "c"\n[variants.uncompressed]\nmethod = "weights"\nshare = 0.5\n'
    with pytest.raises(RecipeError, match="choose another"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "fault"), [("= =", "is not TOML"), ('name = "c"', "variants: field required")]
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str, fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        read(tmp_path, content)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_compression(tmp_path / "none.toml")


def test_widths_start_from_published_weights_unless_told_otherwise() -> None:
    assert Width(method="width", architecture="mobilenet_075").start == "published"
