"""Loading one version: verify its files and signature, load the engine, warm it up.

Verifying runs at low priority, and warming up between the batches of requests, so that a
new version slows down no request. `fingerprint` shows whether the folder of a version that failed
has changed.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_contract.errors import RepositoryError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore
from lentigo_contract.system.priority import at_low_priority
from lentigo_engines.base import warm_up
from lentigo_inference.engines.in_turn import EngineInTurn, InTurn, at_once
from lentigo_inference.engines.selection import EngineLoader
from lentigo_inference.errors import VersionRefusedError
from lentigo_inference.security.model_signature import ModelKeys, check_signature
from lentigo_inference.serving.decision import DecisionPolicy
from lentigo_inference.serving.model_slot import LoadedModel
from lentigo_inference.serving.prevalence import read_prevalence
from lentigo_inference.settings import Settings

FolderFingerprint = frozenset[tuple[str, int, int, int, int]]
"""For every entry: relative path, inode, size, and times of content and status in nanoseconds."""


_DEFAULT_POLICY: Final = DecisionPolicy()


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a version must pass before it is used, and how it is then run.

    Attributes:
        policy: how the operator wants it to decide.
        keys: of which one must have signed it; without them it need not be signed.
        batch_sizes: what the engine is warmed up with.
        in_turn: runs each warm-up, so that running requests keep their latency.
    """

    policy: DecisionPolicy = _DEFAULT_POLICY
    keys: ModelKeys | None = None
    batch_sizes: tuple[int, ...] = (1, 2)
    in_turn: InTurn = at_once


def load_options(
    settings: Settings, batch_sizes: tuple[int, ...] = (1,), in_turn: InTurn = at_once
) -> LoadOptions:
    """Return what the settings ask of a version; reads the files that they name.

    Raises:
        PrevalenceFileError: the prevalence of the clinic cannot be used.
        ModelKeyError: the keys that versions are signed with cannot be used.
    """
    clinic = None if settings.prevalence is None else read_prevalence(settings.prevalence)
    keys = None if settings.model_key is None else ModelKeys(settings.model_key)
    return LoadOptions(DecisionPolicy(settings.decision, clinic), keys, batch_sizes, in_turn)


def load_version(
    store: ModelStore, version: int, load: EngineLoader, options: LoadOptions
) -> LoadedModel:
    """Verify, load and warm up a version. Blocks for seconds.

    Args:
        store: holds the version.
        version: its number.
        load: loads the engine.
        options: what it must pass.

    Raises:
        RepositoryError: its files are missing, damaged or not as the manifest says, it is not
            signed as it is by one of the keys, or it cannot decide as the operator wants.
        EngineError: the runtime cannot load or run it.
    """
    stored = at_low_priority(lambda: store.open(version))
    signature = check_signature(stored, options.keys)
    rule = options.policy.rule_for(stored.manifest)
    engine = load(stored)
    try:
        warm_up(EngineInTurn(engine, options.in_turn), stored.manifest, options.batch_sizes)
    except BaseException:
        engine.close()
        raise
    return LoadedModel(stored, engine, rule, stored.manifest_sha256, signature)


def require_unobjected(store: ModelStore, version: int) -> None:
    """Check that nothing spoke against publishing a version, by its manifest.

    Raises:
        VersionRefusedError: its publication was forced, or it was trained with a limit.
    """
    try:
        manifest = Manifest.read(store.folder / str(version) / MANIFEST_NAME)
    except RepositoryError:
        # Loading it says what is wrong.
        return
    objection = manifest.forced
    if objection is None and manifest.limit is not None:
        objection = f"It was trained with --limit {manifest.limit}."
    if objection is not None:
        raise VersionRefusedError(
            f"Version {version} was published although something spoke against it: {objection} To "
            'load it all the same, add the parameter "force": true.'
        )


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
