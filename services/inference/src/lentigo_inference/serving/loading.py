"""Loading one version: verify its files, load the engine, warm it up.

Verifying runs at low priority, and warming up between the batches of requests, so that a
new version slows down no request. `fingerprint` shows whether the folder of a version that failed
has changed.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_contract.system.priority import at_low_priority
from lentigo_engines.base import Engine, warm_up
from lentigo_inference.engines.in_turn import EngineInTurn, InTurn
from lentigo_inference.engines.selection import EngineLoader
from lentigo_inference.serving.decision import DecisionPolicy
from lentigo_inference.serving.model_slot import LoadedModel

FolderFingerprint = frozenset[tuple[str, int, int, int, int]]
"""For every entry: relative path, inode, size, and times of content and status in nanoseconds."""


def load_version(
    store: ModelStore,
    version: int,
    load: EngineLoader,
    policy: DecisionPolicy,
    batch_sizes: Iterable[int],
    in_turn: InTurn,
) -> LoadedModel:
    """Verify, load and warm up a version. Blocks for seconds.

    Args:
        store: holds the version.
        version: its number.
        load: loads the engine.
        policy: how the operator wants it to decide.
        batch_sizes: what the engine is warmed up with.
        in_turn: runs each warm-up, so that running requests keep their latency.

    Raises:
        RepositoryError: its files are missing, damaged or not as the manifest says, or it cannot
            decide as the operator wants.
        EngineError: the runtime cannot load or run it.
    """
    stored = at_low_priority(lambda: store.open(version))
    rule = policy.rule_for(stored.manifest)
    digest = hashlib.sha256((stored.path / MANIFEST_NAME).read_bytes()).hexdigest()
    engine = load(stored)
    try:
        warm_up(EngineInTurn(engine, in_turn), stored.manifest, batch_sizes)
    except BaseException:
        engine.close()
        raise
    return LoadedModel(stored, engine, rule, digest)


def yielding(load: EngineLoader, niceness: int) -> EngineLoader:
    """Return a loader whose engines compute on threads that yield to the event loop.

    A runtime starts threads of its own, which inherit the priority of the one that loads.
    """

    def load_yielding(stored: StoredVersion) -> Engine:
        return at_low_priority(lambda: load(stored), niceness)

    return load_yielding


def fingerprint(folder: Path) -> FolderFingerprint:
    """Describe everything under a folder, so that any change of content or rights shows.

    What cannot be listed is left out; becoming readable is a change, too. Links are not followed.
    """
    entries = set()
    pending = [os.fspath(folder)]
    while pending:
        path = pending.pop()
        try:
            with os.scandir(path) as scan:
                for entry in scan:
                    entries.add(_entry_of(entry, folder))
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return frozenset(entries)


def _entry_of(entry: os.DirEntry[str], folder: Path) -> tuple[str, int, int, int, int]:
    status = entry.stat(follow_symlinks=False)
    relative = os.path.relpath(entry.path, folder)
    return (relative, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
