import json
from dataclasses import replace
from pathlib import Path

import pytest

from lentigo_trainer import __version__
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import default_recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.provenance import digest_of
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.training.work_folder import (
    Computation,
    EpochMetrics,
    adopt,
    identity_of,
    keep_history,
)
from tests.older_release import MANIFEST

COMPUTATION = Computation(tensorflow="2.0", arithmetic="float32", code_version="1.0")


def identity(
    recipe: Recipe | None = None,
    seed: int = 0,
    limit: int | None = None,
    dataset: str = "d",
    computation: Computation = COMPUTATION,
) -> dict[str, object]:
    config = TrainingConfig(
        work=WorkFolder(Path("work")),
        recipe=recipe or Recipe(),
        weights="random",
        seed=seed,
        limit=limit,
        cores=1,
    )
    return identity_of(config, dataset, "t", computation)


def test_a_folder_is_adopted_once_and_recognised_after(tmp_path: Path) -> None:
    adopt(tmp_path / "run", identity())
    adopt(tmp_path / "run", identity())


def test_a_folder_of_an_older_release_is_refused_and_says_what_can_be_done_with_it(
    tmp_path: Path,
) -> None:
    recipe = json.loads(MANIFEST.read_text())["recipe"]
    made = {"recipe": recipe, "seed": 0, "limit": None, "dataset": "d", "trunk": "t"}
    (tmp_path / "run.json").write_text(json.dumps(made))
    with pytest.raises(WorkFolderError, match=r"older release.*publish.*another --work") as told:
        adopt(tmp_path, identity(default_recipe()))
    assert "\n" not in str(told.value)
    assert json.loads((tmp_path / "run.json").read_text()) == made


@pytest.mark.parametrize("recipe", [None, {"optimiser": 1}, []])
def test_a_folder_without_a_readable_recipe_is_of_another_run(
    tmp_path: Path, recipe: object
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(identity() | {"recipe": recipe}))
    with pytest.raises(WorkFolderError, match="made with another recipe"):
        adopt(tmp_path, identity())


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (identity(Recipe(epochs=3)), r"recipe \(epochs \d+, now 3\)"),
        (identity(seed=1), "seed"),
        (identity(limit=100), "limit"),
        (identity(dataset="other"), "dataset"),
        (
            identity(Recipe(batch_size=64), seed=1),
            r"recipe \(batch_size \d+, now 64\), seed",
        ),
        (
            identity(computation=replace(COMPUTATION, code_version="1.1")),
            r"code version \(1\.0, now 1\.1\)",
        ),
        (
            identity(seed=1, computation=replace(COMPUTATION, tensorflow="2.1")),
            r"seed, TensorFlow \(2\.0, now 2\.1\)",
        ),
        (
            identity(computation=replace(COMPUTATION, arithmetic="bfloat16")),
            r"arithmetic \(float32, now bfloat16\)",
        ),
    ],
)
def test_a_folder_of_another_run_is_refused_by_what_differs(
    tmp_path: Path, other: dict[str, object], named: str
) -> None:
    adopt(tmp_path, identity())
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(WorkFolderError, match=f"made with another {named}. Choose another --work"):
        adopt(tmp_path, other)
    assert (tmp_path / "run.json").read_bytes() == before


def test_the_name_of_a_recipe_does_not_make_another_run(tmp_path: Path) -> None:
    adopt(tmp_path, identity(Recipe(name="before")))
    adopt(tmp_path, identity(Recipe(name="after")))
    with pytest.raises(WorkFolderError, match=r"another recipe \(epochs \d+, now 3\)\. "):
        adopt(tmp_path, identity(Recipe(name="after", epochs=3)))


def test_of_many_members_that_differ_some_are_named(tmp_path: Path) -> None:
    adopt(tmp_path, identity())
    other = {f"key_{number}": number for number in range(9)}
    with pytest.raises(WorkFolderError, match=r"; \d+ more\)") as caught:
        adopt(tmp_path, identity() | {"recipe": other})
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_identity_says_what_to_delete(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(WorkFolderError, match=f"is damaged. Delete {tmp_path}"):
        adopt(tmp_path, identity())


def test_a_run_is_of_this_release_unless_told_otherwise() -> None:
    assert Computation("2.0", "float32").code_version == __version__


def test_the_number_of_cores_does_not_make_another_run() -> None:
    assert "cores" not in identity()


def test_the_history_has_every_epoch(tmp_path: Path) -> None:
    epoch = EpochMetrics(
        epoch=1,
        accuracy=0.5,
        loss=1.0,
        validation_accuracy=0.4,
        validation_loss=1.5,
        seconds=3.0,
    )
    keep_history(tmp_path, (epoch,))
    rows = json.loads((tmp_path / "history.json").read_text())
    assert [EpochMetrics(**row) for row in rows] == [epoch]


def test_a_digest_depends_on_where_lines_end() -> None:
    assert digest_of(iter(["ab", "c"])) != digest_of(iter(["a", "bc"]))


def test_a_folder_of_a_run_with_other_sets_is_refused(tmp_path: Path) -> None:
    with_set = {**identity(), "extra": ["digest of a set"]}
    adopt(tmp_path / "with", with_set)
    adopt(tmp_path / "with", with_set)
    for other in (identity(), {**identity(), "extra": ["digest of another"]}):
        with pytest.raises(WorkFolderError, match="made with another extra"):
            adopt(tmp_path / "with", other)
    adopt(tmp_path / "without", identity())
    with pytest.raises(WorkFolderError, match="made with another extra"):
        adopt(tmp_path / "without", with_set)
