"""Versions to publish, and publishers to run in processes of their own."""

import os
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final

from lentigo_contract.errors import LentigoError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from tests.fakes import made_manifest

NOBODY: Final = 65534


def fill_made_version(folder: Path) -> Manifest:
    """Write what a SavedModel's folder looks like."""
    (folder / "variables").mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph" * 100)
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(bytes(range(256)) * 40)
    return made_manifest()


def publish_some(root: Path, count: int, start: Barrier, published: "Queue[list[int]]") -> None:
    """Publish several versions as soon as all publishers stand ready, and tell their numbers."""
    store = ModelStore(root)
    start.wait(60)
    published.put([store.publish(fill_made_version).version for _ in range(count)])


def as_another_user(
    act: Callable[[ModelStore], object], roots: list[Path], said: "Queue[list[str]]"
) -> None:
    """Do something with stores as a user who owns nothing there, and tell what came of it."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    said.put([_outcome(act, ModelStore(root)) for root in roots])


def _outcome(act: Callable[[ModelStore], object], store: ModelStore) -> str:
    try:
        return str(act(store))
    except LentigoError as error:
        return type(error).__name__


def publish_made_version(store: ModelStore) -> int:
    """Publish, for `as_another_user`."""
    return store.publish(fill_made_version).version


def open_latest(store: ModelStore) -> int:
    """Open the latest version, for `as_another_user`."""
    return store.open(store.latest() or 0).version
