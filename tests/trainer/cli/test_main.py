import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lentigo_contract.errors import StorageError, TooLittleMemoryError
from lentigo_contract.repository.store import ModelStore
from lentigo_trainer.cli import main
from lentigo_trainer.export.publishing import candidate_files
from lentigo_trainer.system.storage import locked
from tests.fakes import made_manifest, synthetic_ham10000
from tests.trainer.data.dataverse_stub import StoredFile, dataverse

COMMANDS = (
    "fetch",
    "import",
    "prepare",
    "duplicates",
    "compare",
    "fit",
    "evaluate",
    "card",
    "publish",
    "run",
    "sign",
    "benchmark",
)
HEAVY = (
    "tensorflow",
    "keras",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
    "httpx",
    "ai_edge_litert",
)

# Wide, so that no line is broken, and plain where a variable asks for colours, as it does in CI.
WIDE = {"COLUMNS": "400", "LINES": "50", "TERM": "dumb"}

ASK_FOR_HELP = f"""
import sys
from typer.testing import CliRunner
from lentigo_trainer.cli.main import app

for command in {COMMANDS}:
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
print(*[name for name in {HEAVY} if name in sys.modules])
"""


def lentigo_train(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own, as a user does."""
    start = "from lentigo_trainer.cli.main import main; main()"
    command = [sys.executable, "-c", start, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def failure(*arguments: str | Path) -> str:
    """The one line that a command fails with."""
    ended = lentigo_train(*arguments)
    assert ended.returncode == main.FAILED, ended.stderr
    line, *more = ended.stderr.splitlines()
    assert not more, ended.stderr
    assert line.startswith("lentigo-train: ")
    return line


def test_help_loads_nothing_that_takes_seconds() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ASK_FOR_HELP], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option(command: str) -> None:
    shown = CliRunner().invoke(main.app, [command, "--help"], env=WIDE).output
    options = [line for line in shown.splitlines() if line.strip(" │").startswith(("--", "*"))]
    assert options
    assert all(len(line.strip(" │").split()) > 4 for line in options), options


def test_help_names_every_command_and_what_the_model_is_not_for() -> None:
    shown = CliRunner().invoke(main.app, ["--help"], env=WIDE).output
    assert all(command in shown for command in COMMANDS)
    assert "Not a medical device" in shown


def test_a_source_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    line = failure("prepare", "--source", tmp_path / "ham", "--work", tmp_path / "work")
    assert "lentigo-train fetch" in line
    assert not (tmp_path / "work").exists()


def test_a_bad_recipe_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("epoch = 3\n")
    work = tmp_path / "work"
    line = failure("run", "--source", tmp_path, "--work", work, "--recipe", recipe)
    assert "line 1, epoch: no such key" in line
    assert not work.exists()


def test_a_run_that_has_not_finished_cannot_be_published(tmp_path: Path) -> None:
    assert "lentigo-train fit" in failure("publish", "--work", tmp_path)


def test_a_work_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    source = synthetic_ham10000(tmp_path / "ham", 1, size=(64, 48))
    (tmp_path / "work").touch()
    assert "cannot be written" in failure(
        "prepare", "--source", source, "--work", tmp_path / "work"
    )


def test_a_work_folder_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    source = synthetic_ham10000(tmp_path / "ham", 1, size=(64, 48))
    with locked(tmp_path / "work" / "prepared"):
        line = failure("prepare", "--source", source, "--work", tmp_path / "work")
    assert "Another run is using" in line


def test_an_error_of_several_lines_is_told_in_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise StorageError("This is long, " * 20 + "and quotes:\n  a second line")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit, match="1"):
        main.main()
    assert capsys.readouterr().err.count("\n") == 1


def test_an_interrupted_command_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", interrupt)
    with pytest.raises(SystemExit, match=str(main.INTERRUPTED)):
        main.main()
    assert "run the same command" in capsys.readouterr().err


def test_random_and_given_weights_exclude_each_other(tmp_path: Path) -> None:
    options: list[str | Path] = ["--source", tmp_path, "--random-weights"]
    ended = lentigo_train("run", *options, "--weights-dir", tmp_path)
    assert ended.returncode == 2
    assert "not both" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--by", "balanced_accuracy"], "needs --best"),
        (["--best", "--run", "cnn"], "not both"),
    ],
)
def test_ways_to_choose_that_contradict_each_other_are_refused(
    options: list[str], told: str
) -> None:
    shown = CliRunner().invoke(main.app, ["publish", *options], env=WIDE)
    assert shown.exit_code == 2
    assert told in shown.output


def test_the_best_of_nothing_is_not_published(tmp_path: Path) -> None:
    line = failure("publish", "--best", "--work", tmp_path, "--models", tmp_path / "models")
    assert "no finished run to choose from" in line


def quick_run(work: Path) -> Path:
    """A finished run of 300 images, with a file in place of its network."""
    files = candidate_files(work / "lentigo")
    files.mkdir(parents=True)
    (files / "saved_model.pb").write_bytes(b"graph")
    (work / "lentigo" / "candidate.json").write_text(made_manifest(limit=300).to_json())
    return work


def test_a_quick_run_is_not_published_unless_it_is_forced(tmp_path: Path) -> None:
    work, models = quick_run(tmp_path / "my work"), tmp_path / "models"
    line = failure("publish", "--work", work, "--models", models)
    assert (
        f"{work / 'lentigo'} is kept, but not published. It was trained with --limit 300." in line
    )
    assert not models.exists()
    # The line ends with the command that forces it.
    program, *arguments = shlex.split(line.partition("all the same: ")[2])
    assert program == "lentigo-train"
    ended = lentigo_train(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert "Published version 1" in ended.stdout
    assert "This was forced" in ended.stdout
    assert ModelStore(models).open(1).manifest.forced == "It was trained with --limit 300."


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--folds-only"], "either --folds-only or --out-of-fold"),
        (["--recipe", "recipes/paper.toml"], "this one has none"),
    ],
)
def test_out_of_fold_answers_need_folds_that_are_not_trained(
    options: list[str], told: str, tmp_path: Path
) -> None:
    given = ["fit", "--source", str(tmp_path), "--work", str(tmp_path), "--random-weights"]
    given += ["--out-of-fold", str(tmp_path / "answers.csv.gz"), *options]
    shown = CliRunner().invoke(main.app, given, env=WIDE)
    assert shown.exit_code == 2
    assert told in shown.output


def test_a_teacher_needs_a_recipe_that_listens(tmp_path: Path) -> None:
    given = ["fit", "--source", str(tmp_path), "--work", str(tmp_path), "--random-weights"]
    shown = CliRunner().invoke(main.app, [*given, "--teacher", str(tmp_path / "a")], env=WIDE)
    assert shown.exit_code == 2
    assert "fine_tuning.teacher_share; this one has none" in shown.output


def test_a_benchmark_of_an_unknown_network_names_the_known_ones(tmp_path: Path) -> None:
    work = tmp_path / "work"
    line = failure("benchmark", "--source", tmp_path, "--work", work, "--only", "cnn,alexnet")
    assert "no architecture 'alexnet'; there are: cnn, vgg16," in line
    assert not work.exists()


def test_a_benchmark_of_nothing_is_refused(tmp_path: Path) -> None:
    options = ["--source", str(tmp_path), "--only", "cnn", "--skip", "cnn,vgg16"]
    shown = CliRunner().invoke(main.app, ["benchmark", *options], env=WIDE)
    assert shown.exit_code == 2
    assert "leave no architecture" in shown.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "epoch = 3\n",
            "line 1, epoch: no such key; there are name, hold_out, folds, architecture",
        ),
        ('architecture = "vgg16"\nepochs = 0\n', "line 2, epochs: "),
        (
            'architecture = "vgg"\n',
            "line 1, architecture: there is no vgg; choose one of cnn, vgg16",
        ),
        ('architecture = "cnn"\n', "is one for cnn"),
    ],
)
def test_a_benchmarks_recipes_are_checked_before_anything_is_done(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "vgg16.toml").write_text(text)
    options: list[str | Path] = ["--work", tmp_path / "work", "--recipes", tmp_path]
    line = failure("benchmark", "--source", tmp_path, *options)
    assert "vgg16.toml" in line
    assert told in line
    assert not (tmp_path / "work").exists()


def test_fetch_puts_the_archives_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    names = ("HAM10000_metadata.csv", "HAM10000_images_part_1.zip", "HAM10000_images_part_2.zip")
    with dataverse([StoredFile(name, name.encode()) for name in names]) as server:
        ended = lentigo_train("fetch", "--to", tmp_path / "ham", "--server", server.url)
    assert ended.returncode == 0, ended.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "ham").iterdir()} == {
        name: name.encode() for name in names
    }
    assert f"lentigo-train run --source {tmp_path / 'ham'}" in ended.stdout


def test_too_little_memory_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lentigo_contract.system.resources.memory_limit", lambda _root: 2**30)
    work = tmp_path / "work"
    arguments = ["run", "--source", str(tmp_path), "--work", str(work), "--random-weights"]
    failed = CliRunner().invoke(main.app, arguments)
    assert isinstance(failed.exception, TooLittleMemoryError)
    assert "this container may use 1,024" in str(failed.exception)
    assert not work.exists()


@pytest.mark.parametrize("epochs", ["0", "-1", "1001", "2.5", "inf"])
def test_an_impossible_number_of_epochs_is_refused(epochs: str, tmp_path: Path) -> None:
    arguments = ["fit", "--source", str(tmp_path), "--epochs", epochs]
    shown = CliRunner().invoke(main.app, arguments, env=WIDE)
    assert shown.exit_code == 2
    assert "--epochs" in shown.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "what is to be measured?"),
        (["--model", "models"], "either --source, --set, or both"),
        (["--model", "models", "--images", "a.zip"], "both --images and --truth"),
        (["--url", "http://x", "--truth", "a.csv"], "both --images and --truth"),
        (["--model", "m", "--source", "a", "--images", "a", "--truth", "b"], "either --source"),
        (["--model", "m", "--source", "a", "--metadata", "b"], "goes with --images"),
        (["--model", "m", "--source", "a", "--answers"], "the file that --json names"),
    ],
)
def test_what_to_evaluate_and_on_what_must_be_clear(options: list[str], told: str) -> None:
    shown = CliRunner().invoke(main.app, ["evaluate", *options], env=WIDE)
    assert shown.exit_code == 2
    assert told in shown.output


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    from tests.models import SavedModels
    from tests.trainer.evaluation.isic import write_images, write_truth

    models = tmp_path / "made"
    models.mkdir()
    store = ModelStore(tmp_path / "models")
    SavedModels(models).publish(store, seed=1)
    folder = write_images(tmp_path / "images")
    (folder / "ISIC_9000002.jpg").write_bytes(b"no image")
    options: list[str | Path] = ["--images", folder, "--truth", write_truth(tmp_path / "truth.csv")]
    ended = lentigo_train("evaluate", "--model", store.root, *options)
    assert ended.returncode == main.FAILED, ended.stderr
    assert "1 of 7 images cannot be read: ISIC_9000002." in ended.stderr
    assert "Traceback" not in ended.stderr
