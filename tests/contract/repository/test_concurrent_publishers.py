"""Publishers that live, die and compete: real processes on a real disk."""

import fcntl
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from tests.contract.repository import killed_publisher
from tests.contract.versions import (
    as_another_user,
    fill_made_version,
    open_latest,
    publish_made_version,
    publish_some,
)

SPAWN = multiprocessing.get_context("spawn")


def test_publishers_at_once_all_succeed_while_a_reader_sees_only_whole_versions(
    tmp_path: Path,
) -> None:
    store = ModelStore(tmp_path)
    publishers, each = 3, 4
    start, told = SPAWN.Barrier(publishers + 1), SPAWN.Queue()
    processes = [
        SPAWN.Process(target=publish_some, args=(tmp_path, each, start, told))
        for _ in range(publishers)
    ]
    for process in processes:
        process.start()
    start.wait(60)

    seen: set[int] = set()
    while any(process.is_alive() for process in processes) and told.empty():
        for version in set(store.versions()) - seen:
            assert store.open(version).version == version
            seen.add(version)

    numbers = [number for _ in processes for number in told.get(timeout=60)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(numbers) == store.versions() == list(range(1, publishers * each + 1))
    assert {path.name for path in store.folder.iterdir()} == {str(number) for number in numbers}
    for version in store.versions():
        store.verify(version)


def test_a_publisher_killed_at_any_point_leaves_the_last_whole_version(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", killed_publisher.__name__, tmp_path],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr
    # Making staging, writing, hashing, flushing, renaming and clearing up are all among them.
    assert int(done.stdout) > 50


def test_a_publisher_at_work_is_not_cleared_away(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)

    def fill(folder: Path) -> Manifest:
        # Another process would do the same: the lock belongs to the open file, not to the process.
        store.publish(fill_made_version)
        assert folder.is_dir()
        return fill_made_version(folder)

    assert store.publish(fill).version == 2


def test_what_a_dead_publisher_left_is_cleared_and_what_a_living_one_holds_is_kept(
    tmp_path: Path,
) -> None:
    store = ModelStore(tmp_path)
    dead, living, unlocked = (store.folder / f".staging-{name}" for name in ("a", "b", "c"))
    for staging in (dead, living, unlocked):
        (staging / "version").mkdir(parents=True)
        (staging / "version" / "saved_model.pb").write_bytes(b"half")
    (dead / "lock").touch()

    with (living / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        store.publish(fill_made_version)

        assert {path.name for path in store.folder.iterdir()} == {".staging-b", "1"}


def test_staging_that_is_not_ours_to_clear_does_no_harm(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "repository")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.folder.mkdir(parents=True)
    (store.folder / ".staging-link").symlink_to(elsewhere)
    (store.folder / ".staging-file").write_text("")

    store.publish(fill_made_version)

    assert store.versions() == [1]
    assert list(elsewhere.iterdir()) == []


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that every user may look into; pytest's own are private."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def said_by_another_user(act: Callable[[ModelStore], object], roots: list[Path]) -> list[str]:
    told = SPAWN.Queue()
    process = SPAWN.Process(target=as_another_user, args=(act, roots, told))
    process.start()
    said: list[str] = told.get(timeout=60)
    process.join(60)
    return said


def test_another_user_may_not_publish(open_to_all: Path) -> None:
    store = ModelStore(open_to_all)
    store.publish(fill_made_version)
    # Tests that do not run as root are themselves the other user.
    store.folder.chmod(0o555)

    assert said_by_another_user(publish_made_version, [open_to_all]) == ["StorageError"]

    store.folder.chmod(0o755)
    assert [path.name for path in store.folder.iterdir()] == ["1"]


def test_another_user_may_read_and_learns_what_is_closed_to_him(open_to_all: Path) -> None:
    roots = [open_to_all / str(number) for number in range(5)]
    for root in roots:
        ModelStore(root).publish(fill_made_version)
    closed = [
        roots[1],
        roots[2] / "lentigo",
        roots[3] / "lentigo" / "1",
        roots[4] / "lentigo" / "1" / "saved_model.pb",
    ]
    for path in closed:
        path.chmod(0)

    said = said_by_another_user(open_latest, roots)

    for path in closed:
        path.chmod(0o755)
    # What is closed is an error: it never looks like an empty repository.
    assert said == [
        "1",
        "StorageError",
        "StorageError",
        "DamagedVersionError",
        "DamagedVersionError",
    ]
