"""A model to begin with, for a repository that has none yet."""

import shutil
from pathlib import Path

from lentigo_contract.errors import NoVersionError
from lentigo_contract.layout import version_names
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.store import ModelStore, StoredVersion


def seed(shipped: ModelStore, repository: ModelStore) -> StoredVersion | None:
    """Publish the newest shipped version as the first of an empty repository.

    A repository that holds a version, or anything under a version's name, is left as it is, so this
    can run at every start.

    Returns:
        What was published, or None if there was something already.

    Raises:
        NoVersionError: nothing is shipped.
        DamagedVersionError: what is shipped is not whole.
        StorageError: the repository cannot be listed or written, or its disk is full.
    """
    if version_names(repository.folder):
        return None
    newest = shipped.latest()
    if newest is None:
        raise NoVersionError(
            f"{shipped.folder} holds no version to begin with. Give the folder of a model "
            "repository, such as the models/ that comes with Lentigo."
        )
    version = shipped.open(newest)

    def fill(staging: Path) -> Manifest:
        for name in version.manifest.files:
            place = staging / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(version.path / name, place)
        return version.manifest

    return repository.publish(fill)
